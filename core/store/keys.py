"""All keys of the service in Redis, with type and lifetime.

| key | type | content | lifetime |
| --- | --- | --- | --- |
| `tc:job:{id}` | hash | the record, one field per part, JSON inside | until it expires or is deleted |
| `tc:jobs:{tenant}` | sorted set | a tenant's ids, score 0: they sort by age | with the record |
| `tc:jobs:{tenant}:{status}` | sorted set | those of one status, the same way | with the status |
| `tc:ready:{priority}` | sorted set | jobs that wait, score = created (ms) | while queued |
| `tc:ready:{priority}:{tenant}` | sorted set | a tenant's, the same way | while one of them is queued |
| `tc:ready:{priority}:{demand}` | sorted set | those of one demand, the same way | while one of them is queued |
| `tc:demanded:{priority}` | set | of waiting jobs: tenant, schema and canvas as `default:1:163840` | while queued |
| `tc:waiting:{priority}` | set | tenants whose jobs wait | while one is queued |
| `tc:meters` | hash | GPU time that counts against a tenant when its turn is decided (ms), by tenant | for good |
| `tc:clock` | string | how far meters are; whoever comes after a pause begins there | for good |
| `tc:batch_turn` | string | batch work has started within the last minute | 1 min |
| `tc:max_running` | hash | how many of a tenant's jobs may run, by tenant; else any number | until it submits anew |
| `tc:usage:{tenant}:{day}` | string | GPU time that a tenant used on a day since the epoch (ms) | 400 d |
| `tc:leases` | sorted set | running jobs, score = end of the lease (ms) | while running |
| `tc:expiry` | sorted set | ended jobs, score = expires (ms) | until deleted |
| `tc:upload:{id}` | hash | tenant, life unused (ms), size, verdict, number of jobs that use it | until it vanishes |
| `tc:upload_bytes` | hash | size of all of a tenant's uploads, by tenant | while it has some |
| `tc:uploads` | sorted set | uploads that no job uses, score = when they vanish (ms) | until used or vanished |
| `tc:trash` | sorted set | jobs and uploads whose objects may be left, score = when to delete them (ms) | until gone |
| `tc:idempotency:{digest}` | hash | job and fingerprint of an `Idempotency-Key` | 24 h |
| `tc:changes` | channel | `{id} {version}` at every change of a job, version 0 when it is deleted | |
| `tc:wake` | list | wakes the dispatcher; holds at most one element | until read |
| `tc:worker:{name}` | hash | what a live worker holds and does | 10 s, renewed each second |
| `tc:hold:{name}` | hash | why this worker claims nothing: paused, quarantined | until resumed, or 1 day after it |
| `tc:forgiven:{place}` | string | the job that was to blame for a breakdown of this device | 1 h |
| `tc:paused` | string | nobody claims while it is there; since when (ms) | until the queue is resumed |
| `tc:workers` | sorted set | names of workers, score = last sign of life (ms) | pruned by the dispatcher |
| `tc:idle:{kind}` | sorted set | workers that wait, by schema and canvas; score = last sign of life (ms) | the same |
| `tc:idle_kinds` | set | kinds of workers that wait | the same |
| `tc:runs` | list | what the last successful runs took, the newest first | capped at 200 |
| `tc:delivery:{event}` | hash | an event, the job as it was, every attempt | with the job; of progress 1 min |
| `tc:deliveries:of:{id}` | sorted set | a job's events, score = version | with the job |
| `tc:deliveries:due` | sorted set | receivers, score = when there is something to do for one (ms) | while there is |
| `tc:deliveries:due:{tenant}:{host}` | sorted set | a receiver's events that wait, score = due (ms) | while one waits |
| `tc:deliveries:flying:{tenant}:{host}` | sorted set | attempts under way, score = lease's end (ms) | while one is |
| `tc:deliveries:failing:{tenant}:{host}` | string | its last attempt failed | 10 min, or until one succeeds |
| `tc:deliveries:wake` | list | wakes a deliverer; holds at most one element | until read |
| `tc:receiver:{tenant}:{digest}` | hash | since when a URL fails, when and why it is off | 30 d, or a success |
| `tc:webhook_secrets:{tenant}` | hash | secrets with which webhooks are signed, JSON by id | until replaced |
| `tc:api_keys` | hash | API keys, JSON by SHA-256 | until revoked |
| `tc:api_keys:used` | hash | when each was used last (ms), by id | with the key |
| `tc:api_keys:revoked` | set | SHA-256 of keys that never come back | for ever |
| `tc:rate:{tenant}:{key}:{policy}:{minute}` | string | calls taken; `key` where its rate is its own | 2 min |
| `tc:totals` | hash | how many jobs were accepted and how they ended, `ended:failed:out_of_memory` | for ever |
| `tc:ended` | stream | what the log says of jobs that ended, until it does | capped at 10,000 |
| `tc:dispatcher` | string | name of the leading dispatcher | 3 s, renewed each second |
| `tc:celery…`, `tc:unacked…`, `tc:_kombu…` | | Celery's own, under the same prefix | |
"""

from core.records.request import Priority

PREFIX = "tc:"
JOB = PREFIX + "job:"
JOBS = PREFIX + "jobs:"
READY = PREFIX + "ready:"
READY_KEYS = [READY + priority.value for priority in Priority]  # best first
DEMANDED = PREFIX + "demanded:"
WAITING = PREFIX + "waiting:"
METERS = PREFIX + "meters"
CLOCK = PREFIX + "clock"
BATCH_TURN = PREFIX + "batch_turn"
MAX_RUNNING = PREFIX + "max_running"
USAGE = PREFIX + "usage:"
LEASES = PREFIX + "leases"
EXPIRY = PREFIX + "expiry"
UPLOAD = PREFIX + "upload:"
UPLOADS = PREFIX + "uploads"
UPLOAD_BYTES = PREFIX + "upload_bytes"
TRASH = PREFIX + "trash"
IDEMPOTENCY = PREFIX + "idempotency:"
CHANGES = PREFIX + "changes"
WAKE = PREFIX + "wake"
WORKER = PREFIX + "worker:"
WORKERS = PREFIX + "workers"
IDLE = PREFIX + "idle:"
IDLE_KINDS = PREFIX + "idle_kinds"
HOLD = PREFIX + "hold:"
FORGIVEN = PREFIX + "forgiven:"
PAUSED = PREFIX + "paused"
RUNS = PREFIX + "runs"
TOTALS = PREFIX + "totals"
ENDED = PREFIX + "ended"
DISPATCHER = PREFIX + "dispatcher"
DELIVERY = PREFIX + "delivery:"
DELIVERIES = PREFIX + "deliveries:"
DELIVERIES_OF = DELIVERIES + "of:"
DUE_RECEIVERS = DELIVERIES + "due"
DUE_EVENTS = DELIVERIES + "due:"
FLYING = DELIVERIES + "flying:"
FAILING = DELIVERIES + "failing:"
WAKE_DELIVERER = DELIVERIES + "wake"
RECEIVER = PREFIX + "receiver:"
API_KEYS = PREFIX + "api_keys"
API_KEYS_USED = API_KEYS + ":used"
API_KEYS_REVOKED = API_KEYS + ":revoked"
RATE = PREFIX + "rate:"
WEBHOOK_SECRETS = PREFIX + "webhook_secrets:"

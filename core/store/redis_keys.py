"""Define all Redis keys, with type and lifetime; times are in milliseconds.

| key | type | content | lifetime |
| --- | --- | --- | --- |
| `tc:job:{id}` | hash | the record, one field per part, JSON inside | until expired or deleted |
| `tc:jobs:{tenant}` | sorted set | a tenant's ids, score 0: sorted by age | with the record |
| `tc:jobs:{tenant}:{status}` | sorted set | those of one status, the same way | with the status |
| `tc:ready:{priority}` | sorted set | waiting jobs, score = created | while queued |
| `tc:ready:{priority}:{tenant}` | sorted set | a tenant's, the same way | while one is queued |
| `tc:ready:{priority}:{demand}` | sorted set | those of one demand | while one is queued |
| `tc:ready:{priority}@{model}` | sorted set | those for one model | while one is queued |
| `tc:ready:{priority}@{model}:{tenant}` | sorted set | a tenant's of those | while one is queued |
| `tc:demanded:{priority}` | set | demands of waiting jobs: `studio:tiny:2:163840` | while queued |
| `tc:waiting:{priority}` | set | tenants with waiting jobs | while one is queued |
| `tc:waiting:{priority}@{model}` | set | tenants with jobs for one model | while one is queued |
| `tc:meters` | hash | GPU time that a tenant used, for its turn, by tenant | for good |
| `tc:clock` | string | how far meters are; a tenant after a pause begins there | for good |
| `tc:batch_turn:{model}` | string | batch work for it has started within a minute | 1 min |
| `tc:max_running` | hash | limits of running jobs, by tenant | until the next submission |
| `tc:usage:{tenant}:{day}` | string | GPU time of a tenant on a day since the epoch | 400 d |
| `tc:leases` | sorted set | running jobs, score = end of the lease | while running |
| `tc:expiry` | sorted set | ended jobs, score = expires | until deleted |
| `tc:upload:{id}` | hash | tenant, life unused, size, outcome, jobs that use it | until expired |
| `tc:upload_bytes` | hash | size of all of a tenant's uploads, by tenant | while it has some |
| `tc:uploads` | sorted set | uploads that no job uses, score = expires | until used or expired |
| `tc:segments:{tenant}` | sorted set | segments by age: `{digest} {job} {bytes}` | with the job |
| `tc:segment_jobs:{tenant}` | hash | the newest job that has a segment, by digest | with the job |
| `tc:segment_bytes` | hash | size of all of a tenant's segments, by tenant | while it has some |
| `tc:trash` | sorted set | ids with objects to delete, score = when | until deleted |
| `tc:idempotency:{digest}` | hash | job and fingerprint of an `Idempotency-Key` | 24 h |
| `tc:changes` | channel | `{id} {version}` of each change, version 0 of a deletion | |
| `tc:preview:{id}` | channel | pictures of what a running job draws | |
| `tc:wake` | list | wakes the dispatcher; holds at most one element | until read |
| `tc:worker:{name}` | hash | what a live worker holds and does | 10 s, renewed each second |
| `tc:hold:{name}` | hash | why a worker claims nothing: paused, quarantined | until resumed, 1 d |
| `tc:forgiven:{place}` | string | the job that caused a breakdown of this device | 1 h |
| `tc:paused` | string | since when no worker may claim | until the queue is resumed |
| `tc:workers` | sorted set | names of workers, score = last sign of life | until pruned |
| `tc:slots:{kind}` | sorted set | idle workers of a kind, score = last heartbeat | until pruned |
| `tc:slot_kinds` | set | kinds of idle workers: `2:163840:tooncrafter:tiny,ink` | until pruned |
| `tc:offers` | hash | what workers offered lately, JSON by the names served | 1 d after the last |
| `tc:offered` | sorted set | those models, score = last heartbeat | 1 d after it |
| `tc:runs` | list | what the last successful runs took, the newest first | capped at 200 |
| `tc:delivery:{event}` | hash | an event, its job, its attempts | with the job; progress 1 min |
| `tc:deliveries:of:{id}` | sorted set | a job's events, score = version | with the job |
| `tc:deliveries:due` | sorted set | receivers, score = when one has work | while it has |
| `tc:deliveries:due:{tenant}:{host}` | sorted set | waiting events, score = due | while waiting |
| `tc:deliveries:flying:{tenant}:{host}` | sorted set | attempts, score = end of lease | each 30 s |
| `tc:deliveries:failing:{tenant}:{host}` | string | the last attempt failed | 10 min |
| `tc:deliveries:wake` | list | wakes a deliverer; holds at most one element | until read |
| `tc:receiver:{tenant}:{digest}` | hash | since when a URL fails, when and why it is off | 30 d |
| `tc:webhook_secrets:{tenant}` | hash | secrets that sign webhooks, JSON by id | until replaced |
| `tc:api_keys` | hash | API keys, JSON by SHA-256 | until revoked |
| `tc:api_keys:used` | hash | when each was used last, by id | with the key |
| `tc:api_keys:revoked` | set | SHA-256 of keys that never come back | for good |
| `tc:rate:{tenant}:{key}:{policy}` | hash | calls by second; `key` if the rate is its own | 61 s |
| `tc:totals` | hash | counts of accepted and ended jobs: `ended:failed:out_of_memory` | for good |
| `tc:ended` | stream | what the log will say of ended jobs | until logged, capped at 10,000 |
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
SEGMENTS = PREFIX + "segments:"
SEGMENT_JOBS = PREFIX + "segment_jobs:"
SEGMENT_BYTES = PREFIX + "segment_bytes"
TRASH = PREFIX + "trash"
IDEMPOTENCY = PREFIX + "idempotency:"
CHANGES = PREFIX + "changes"
PREVIEW = PREFIX + "preview:"
WAKE = PREFIX + "wake"
WORKER = PREFIX + "worker:"
WORKERS = PREFIX + "workers"
SLOTS = PREFIX + "slots:"
SLOT_KINDS = PREFIX + "slot_kinds"
OFFERS = PREFIX + "offers"
OFFERED = PREFIX + "offered"
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

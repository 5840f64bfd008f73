"""Dashboard of the service: alerts, callers, storage, webhooks."""

from scripts.dashboards.panels import (
    BAD,
    JOBS_RANGE,
    NO_YES,
    ONE_IS_BAD,
    ONE_IS_WELL,
    PLAIN,
    RANGE,
    WARNING,
    WELL,
    Dashboard,
    Panel,
    p50_and_p95,
    quantile,
)

BUDGET = 0.001  # share of calls that may fail; docs/runbooks.md, ErrorBudgetBurnsFast
FAST_BURN = 14.4 * BUDGET
SLOW_STORAGE = 1.0  # seconds; a gateway gives up after two of silence
OUR_ALERTS = 'service="tooncrafter"'
OURS = '{job=~"gateway|dispatcher|webhooks|worker"}'

_NEEDS_ME = [
    Panel(
        "Alerts that fire",
        "Their names stand in the table; docs/runbooks.md has a page for each.",
        "short",
        {"firing": f'count(ALERTS{{alertstate="firing", {OUR_ALERTS}}}) or vector(0)'},
        "stat",
        limits=ONE_IS_BAD,
    ),
    Panel(
        "Processes that answer",
        "To a scrape.",
        "short",
        {"{{job}}": f"sum by (job) (up{OURS})"},
        "stat",
        ONE_IS_WELL,
    ),
    Panel(
        "Redis",
        "Whether it answers, and is set to keep jobs. No data: no dispatcher can say.",
        "short",
        {"answers": "max(tooncrafter_redis_up)", "keeps jobs": "max(tooncrafter_redis_durable)"},
        "stat",
        limits=ONE_IS_WELL,
        words=NO_YES,
    ),
    Panel(
        "Processes by version",
        "Several versions during an upgrade.",
        "short",
        {"{{version}} {{process}}": "count by (version, process) (tooncrafter_build_info)"},
        "stat",
        limits={0: PLAIN},
    ),
    Panel(
        "Which alerts",
        "`pending`: true, and not yet for long enough. Nothing here is good news.",
        "short",
        {
            "": "count by (alertname, severity, alertstate) "
            f'(ALERTS{{alertstate=~"pending|firing", {OUR_ALERTS}}})'
        },
        "table",
        absent="none",
    ),
]

_CALLERS = [
    Panel(
        "Calls per second",
        "By status; 499: the caller went away.",
        "reqps",
        {"{{status}}": f"sum by (status) (rate(tooncrafter_http_requests_total[{RANGE}]))"},
        stacked=True,
        colors={"^4": WARNING, "^5": BAD},
    ),
    Panel(
        "Share of calls that fail",
        "5xx. Lines: the budget of 0.1 %, and where a month's is gone in two days.",
        "percentunit",
        {
            "failing": f'(sum(rate(tooncrafter_http_requests_total{{status=~"5.."}}[{RANGE}])) or '
            "vector(0)) "
            f"/ sum(rate(tooncrafter_http_requests_total[{RANGE}]))"
        },
        limits={0: WELL, BUDGET: WARNING, FAST_BURN: BAD},
        most_at_least=0.02,
    ),
    Panel(
        "Time of a call",
        "p95 without event streams; a long poll takes as long as it is asked to.",
        "s",
        {
            "{{method}} {{route}}": quantile(
                0.95,
                "tooncrafter_http_request_seconds",
                "method, route",
                '{route!~".*/events"}',
                JOBS_RANGE,
            )
        },
        many=True,
    ),
    Panel(
        "Calls under way",
        "Open event streams and long polls included.",
        "short",
        {"{{instance}}": "sum by (instance) (tooncrafter_http_requests_in_flight)"},
    ),
]

_STORAGE = [
    Panel(
        "Time of an operation",
        "p95, as gateways and dispatchers see it. The line: slow.",
        "s",
        {
            "{{operation}}": quantile(
                0.95, "tooncrafter_storage_operation_seconds", "operation", span=JOBS_RANGE
            )
        },
        limits={0: WELL, SLOW_STORAGE: BAD},
        many=True,
    ),
    Panel(
        "Operations per second",
        "Of gateways and dispatchers.",
        "ops",
        {
            "{{operation}}": "sum by (operation) "
            f"(rate(tooncrafter_storage_operation_seconds_count[{RANGE}]))"
        },
        many=True,
    ),
    Panel(
        "Operations that fail",
        "Per second.",
        "ops",
        {"{{operation}}": f"sum by (operation) (rate(tooncrafter_storage_errors_total[{RANGE}]))"},
        limits={0: WELL, 0.05: BAD},
        most_at_least=0.1,
        many=True,
        absent="0",
    ),
]

_ROOM = [
    Panel(
        "Redis memory in use",
        "As a share of its limit. Full: submissions are refused with 503. The line: the alert.",
        "percentunit",
        {"used": "max(tooncrafter_redis_memory_bytes) / max(tooncrafter_redis_memory_limit_bytes)"},
        limits={0: WELL, 0.8: BAD},
        most=1,
    ),
    Panel(
        "Queue in use",
        "Waiting jobs as a share of TOONCRAFTER_MAX_QUEUED. Full: submissions are refused.",
        "percentunit",
        {
            "used": "sum(max by (priority) (tooncrafter_queue_ready_jobs)) / "
            "max(tooncrafter_queue_limit_jobs)"
        },
        limits={0: WELL, 0.8: BAD},
        most=1,
    ),
    Panel(
        "Bytes stored",
        "Keyframes, uploads and results, as the last audit counted them.",
        "bytes",
        {"stored": "max(tooncrafter_stored_bytes)"},
    ),
]

_WEBHOOKS = [
    Panel(
        "Attempts per second",
        "By what they meant. `retry`: the receiver failed, or was not reached.",
        "ops",
        {"{{outcome}}": f"sum by (outcome) (rate(tooncrafter_webhook_attempts_total[{RANGE}]))"},
        colors={"delivered": WELL, "retry": WARNING, "failed": BAD},
    ),
    Panel(
        "Events to deliver",
        "`due` that stays: no deliverer works. `waiting`: receivers fail, the next attempt comes.",
        "short",
        {"{{state}}": "max by (state) (tooncrafter_webhook_events)"},
        colors={"in_flight": PLAIN, "waiting": WARNING, "due": BAD},
    ),
    Panel(
        "Oldest event that is due",
        "Seconds past its time. The line: no deliverer works.",
        "s",
        {"oldest": "max(tooncrafter_webhook_oldest_due_seconds)"},
        limits={0: WELL, 120: BAD},
    ),
    Panel(
        "Time of a receiver",
        "Until it had answered, or was given up after 15 s.",
        "s",
        p50_and_p95("tooncrafter_webhook_attempt_seconds"),
    ),
]

SERVICE = Dashboard(
    "tooncrafter-service",
    "ToonCrafter: service",
    {
        "Does something need me?": _NEEDS_ME,
        "Do callers get answers?": _CALLERS,
        "Is the storage slow or away?": _STORAGE,
        "Is there room left?": _ROOM,
        "Do webhooks arrive?": _WEBHOOKS,
    },
)

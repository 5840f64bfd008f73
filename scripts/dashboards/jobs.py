"""Dashboard of queue and jobs: waiting, workers, outcomes, recovery."""

from scripts.dashboards.panels import (
    BAD,
    JOBS_RANGE,
    NO_YES,
    ONE_IS_WELL,
    PLAIN,
    RANGE,
    WARNING,
    WELL,
    Dashboard,
    Panel,
    p50_and_p95,
)

FAILED_15M = (
    'sum(max by (status, code) (increase(tooncrafter_jobs_ended_total{status="failed"}[15m])))'
)
ENDED_15M = (
    "sum(max by (status, code) (increase("
    'tooncrafter_jobs_ended_total{status=~"failed|succeeded"}[15m])))'
)

_WAITING = [
    Panel(
        "Jobs that wait",
        "By priority.",
        "short",
        {"{{priority}}": "max by (priority) (tooncrafter_queue_ready_jobs)"},
        stacked=True,
    ),
    Panel(
        "Jobs by engine",
        "Waiting and running ones, for ToonCrafter or for the preview engine.",
        "short",
        {"{{engine}}": "max by (engine) (tooncrafter_queue_engine_jobs)"},
        stacked=True,
    ),
    Panel(
        "Oldest job that waits",
        "Since it was accepted. The line: an interactive one has waited too long.",
        "s",
        {"{{priority}}": "max by (priority) (tooncrafter_queue_oldest_age_seconds)"},
        limits={0: WELL, 300: BAD},
    ),
    Panel(
        "Waiting, of jobs that ran",
        "From accepted to started, within 5 minutes.",
        "s",
        p50_and_p95("tooncrafter_job_queue_seconds"),
    ),
]

_WORKING = [
    Panel(
        "Workers that take jobs",
        "Idle or busy.",
        "short",
        {"idle or busy": 'max(sum by (instance) (tooncrafter_workers{state=~"idle|busy"}))'},
        "stat",
        limits=ONE_IS_WELL,
    ),
    Panel(
        "Dispatchers that lead",
        "One; none for 3 s after its end.",
        "short",
        {"leading": "sum(tooncrafter_dispatcher_leads)"},
        "stat",
        limits=ONE_IS_WELL,
    ),
    Panel(
        "Queue paused",
        "By an operator: no job starts.",
        "short",
        {"paused": "max(tooncrafter_queue_paused)"},
        "stat",
        limits={0: WELL, 1: WARNING},
        words=NO_YES,
    ),
    Panel(
        "Workers",
        "By what they do; only `idle` and `busy` ones take jobs.",
        "short",
        {"{{state}}": "max by (state) (tooncrafter_workers)"},
        stacked=True,
        many=True,
        colors={"busy": WELL, "idle": PLAIN, "paused|stopping": WARNING, "quarantined": BAD},
    ),
    Panel(
        "Running jobs",
        "And those of them whose worker is silent: the dispatcher takes them back within a second.",
        "short",
        {
            "running": "max(tooncrafter_queue_running_jobs)",
            "silent": "max(tooncrafter_queue_expired_leases)",
        },
        colors={"running": WELL, "silent": BAD},
    ),
]

_OUTCOMES = [
    Panel(
        "Accepted per minute",
        "By priority.",
        "short",
        {
            "{{priority}}": "60 * max by (priority) "
            f"(rate(tooncrafter_jobs_accepted_total[{RANGE}]))"
        },
        stacked=True,
    ),
    Panel(
        "Ended within 5 minutes",
        "By status, and why they failed.",
        "short",
        {
            "{{status}} {{code}}": "sum by (status, code) (max by (status, code) "
            f"(increase(tooncrafter_jobs_ended_total[{JOBS_RANGE}])))"
        },
        stacked=True,
        colors={"succeeded": WELL, "canceled": PLAIN, "failed": BAD},
    ),
    Panel(
        "Share of jobs that fail",
        "Of those that ended within 15 minutes. The line: too many.",
        "percentunit",
        {"failed": f"({FAILED_15M} or vector(0)) / ({ENDED_15M} > 0)"},
        limits={0: WELL, 0.1: BAD},
        most_at_least=0.2,
    ),
    Panel(
        "From accepted to succeeded",
        "End to end, within 5 minutes.",
        "s",
        p50_and_p95("tooncrafter_job_seconds"),
    ),
    Panel(
        "Run time",
        "One attempt, within 5 minutes.",
        "s",
        p50_and_p95("tooncrafter_job_run_seconds"),
    ),
    Panel(
        "Time of the stages",
        "Where the run time of a mean job goes, within 5 minutes: `download` and `upload` are the "
        "storage, `export` is "
        "the encoder of videos, the rest is the device.",
        "s",
        {
            "{{stage}}": f"sum by (stage) (rate(tooncrafter_job_stage_seconds_sum[{JOBS_RANGE}])) "
            f"/ (sum by (stage) (rate(tooncrafter_job_stage_seconds_count[{JOBS_RANGE}])) > 0)"
        },
        stacked=True,
        many=True,
    ),
]

_LOST = [
    Panel(
        "Jobs taken back from lost workers",
        "Within 5 minutes.",
        "short",
        {
            "{{outcome}}": "sum by (outcome) "
            f"(increase(tooncrafter_leases_recovered_total[{JOBS_RANGE}]))"
        },
        absent="0",
    ),
    Panel(
        "Messages",
        "Per second. `sweep`: sent again. `no job`: came twice or late, and changed nothing.",
        "ops",
        {
            "{{cause}}": f"sum by (cause) (rate(tooncrafter_messages_sent_total[{RANGE}]))",
            "no job": f"sum(rate(tooncrafter_messages_without_job_total[{RANGE}]))",
        },
    ),
    Panel(
        "Repairs of the audit",
        "Within an hour; each tells of a fault.",
        "short",
        {"{{repair}}": "sum by (repair) (increase(tooncrafter_audit_repairs_total[1h]))"},
        absent="0",
    ),
]

JOBS = Dashboard(
    "tooncrafter-jobs",
    "ToonCrafter: queue and jobs",
    {
        "How long does one wait?": _WAITING,
        "Who works?": _WORKING,
        "What becomes of jobs?": _OUTCOMES,
        "What was lost, and came back?": _LOST,
    },
)

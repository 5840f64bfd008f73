"""Dashboard of GPU workers: readiness, speed, cards."""

from scripts.dashboards.panels import (
    BAD,
    JOBS_RANGE,
    ONE_IS_WELL,
    PLAIN,
    WARNING,
    WELL,
    Dashboard,
    Panel,
)

CHOSEN = '{instance=~"$worker"}'

_READY = [
    Panel(
        "Workers with their model",
        "The others still load it, or lost their child.",
        "short",
        {"loaded": f"sum(tooncrafter_model_loaded{CHOSEN})"},
        "stat",
        limits=ONE_IS_WELL,
    ),
    Panel(
        "Workers without",
        "Loading takes a minute, the first conversion several.",
        "short",
        {"not loaded": f"count(tooncrafter_model_loaded{CHOSEN} == 0) or vector(0)"},
        "stat",
        limits={0: WELL, 1: WARNING},
    ),
    Panel(
        "Time to load",
        "The last time; the ten slowest.",
        "s",
        {"{{instance}}": f"topk(10, tooncrafter_model_load_seconds{CHOSEN})"},
        "bargauge",
    ),
]

_FAST = [
    Panel(
        "Busy",
        "Share of 5 minutes.",
        "percentunit",
        {"{{instance}}": f"avg_over_time(tooncrafter_worker_busy{CHOSEN}[{JOBS_RANGE}])"},
        most=1,
    ),
    Panel(
        "Denoising steps per busy second",
        "Of 5 minutes. A card that is slowed down falls behind the others.",
        "short",
        {
            "{{instance}}": f"rate(tooncrafter_denoising_steps_total{CHOSEN}[{JOBS_RANGE}]) / on "
            "(instance) "
            f"(avg_over_time(tooncrafter_worker_busy{CHOSEN}[{JOBS_RANGE}]) > 0)"
        },
        digits=1,
    ),
    Panel(
        "Attempts within 5 minutes",
        "By outcome. `stale`: another worker had the job by then.",
        "short",
        {
            "{{outcome}}": "sum by (outcome) "
            f"(increase(tooncrafter_attempts_total{CHOSEN}[{JOBS_RANGE}]))"
        },
        stacked=True,
        colors={
            "succeeded": WELL,
            "canceled": PLAIN,
            "failed|device_broken": BAD,
            "stale|given_back": WARNING,
        },
    ),
    Panel(
        "Peak memory",
        "Of the last job, on the device; 0 on a CPU.",
        "bytes",
        {"{{instance}}": f"tooncrafter_model_peak_memory_bytes{CHOSEN}"},
    ),
]

_CARDS = [
    Panel(
        "Utilisation",
        "Share of the last moment. No data: no NVIDIA card, or no driver.",
        "percentunit",
        {"{{instance}}": f"tooncrafter_gpu_utilization_ratio{CHOSEN}"},
        most=1,
    ),
    Panel(
        "Memory in use",
        "By any process, as a share of the card's. The line: the next larger canvas runs out.",
        "percentunit",
        {
            "{{instance}}": f"tooncrafter_gpu_memory_used_bytes{CHOSEN} / "
            f"tooncrafter_gpu_memory_total_bytes{CHOSEN}"
        },
        limits={0: WELL, 0.97: BAD},
        most=1,
    ),
    Panel(
        "Power",
        "What each draws.",
        "watt",
        {"{{instance}}": f"tooncrafter_gpu_power_watts{CHOSEN}"},
    ),
    Panel(
        "Temperature",
        "Of each.",
        "celsius",
        {"{{instance}}": f"tooncrafter_gpu_temperature_celsius{CHOSEN}"},
    ),
    Panel(
        "Slowed down",
        "Which card and why, while it lasts. Nothing here is good news.",
        "short",
        {"{{instance}} {{reason}}": f"tooncrafter_gpu_throttled{CHOSEN} > 0"},
        absent="none",
    ),
]

WORKERS = Dashboard(
    "tooncrafter-workers",
    "ToonCrafter: GPU workers",
    {"Are they ready?": _READY, "How fast are they?": _FAST, "How are the cards?": _CARDS},
    variables={"worker": ("tooncrafter_model_loaded", "instance")},
)

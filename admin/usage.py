"""Report the GPU time that a tenant used."""

from typing import Any

from admin.command import Options, Result, add_command, add_tenant
from core.store.constants import USAGE_LIFE
from core.store.tenants.usage import gpu_seconds


def add_commands(commands: Any) -> None:
    """Add `usage`."""
    usage = add_command(commands, "usage", _usage, "GPU seconds of a tenant by day, in UTC")
    add_tenant(usage)
    usage.add_argument(
        "--days",
        type=int,
        choices=range(1, USAGE_LIFE.days + 1),
        default=30,
        metavar=f"1-{USAGE_LIFE.days}",
        help="how many days back; default: 30",
    )


def _usage(redis_url: str, options: Options) -> Result:
    days = gpu_seconds(redis_url, options.tenant, days=options.days)
    by_day = {day.isoformat(): seconds for day, seconds in days.items()}
    return {"tenant": options.tenant, "gpu_seconds": round(sum(by_day.values()), 3), "days": by_day}

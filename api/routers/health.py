"""Report whether the process is alive and whether it can serve."""

from fastapi import APIRouter

from api.dependencies import InterpolationsService
from api.http.answers import problems
from core.errors import Unavailable

router = APIRouter(tags=["health"])  # `operation_id` names what these answer in generated clients


@router.get("/healthz", operation_id="alive")
async def alive() -> dict[str, str]:
    """Answer while the process runs."""
    return {"status": "alive"}


@router.get("/readyz", operation_id="ready", responses=problems(503))
async def ready(service: InterpolationsService) -> dict[str, str]:
    """Answer while Redis and the storage do; else 503 names the one that does not."""
    failing = await service.check()
    if failing:
        raise Unavailable("; ".join(f"{name}: {detail}" for name, detail in failing.items()))
    return {"status": "ready"}

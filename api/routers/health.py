"""Is the process alive, and can it serve."""

from fastapi import APIRouter

from api.dependencies import WholeService
from api.schemas.jobs import PROBLEM_RESPONSE
from core.errors import Unavailable

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: PROBLEM_RESPONSE})
async def ready(service: WholeService) -> dict[str, str]:
    """Redis and the storage answer; else 503 names the one that does not."""
    failing = await service.check()
    if failing:
        raise Unavailable("; ".join(f"{name}: {detail}" for name, detail in failing.items()))
    return {"status": "ready"}

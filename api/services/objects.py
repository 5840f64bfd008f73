"""Delete the stored objects of a job that does not exist."""

import structlog
from anyio import to_thread

from core.errors import Unavailable
from core.objects.keys import job_prefix
from core.objects.storage import ObjectStorage
from core.store.roles.gateway import GatewayStore

log = structlog.get_logger("api")


async def discard(storage: ObjectStorage, store: GatewayStore, job_id: str) -> None:
    """Delete them; if that fails, the dispatcher finds them in the trash."""
    try:
        await to_thread.run_sync(storage.delete_prefix, job_prefix(job_id))
        await store.emptied(job_id)
    except Unavailable as error:
        log.warning("objects of a job stay behind for now", job_id=job_id, error=error.detail)

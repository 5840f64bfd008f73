"""Jobs of a gateway in each state, brought there by calls and by a worker's store."""

import hashlib
from datetime import timedelta

from httpx import AsyncClient

from core.objects.object_keys import output_key
from core.objects.storage import ObjectStorage
from core.records.ids import new_job_id
from core.records.job import Timing
from core.store.roles.worker import Claim, WorkerStore
from testkit.api.calls import URL, files
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.store.tenant_jobs import TenantJobs

VIDEO = bytes(range(256)) * 40


async def queued(client: AsyncClient) -> str:
    job_id: str = (await client.post(URL, files=files())).json()["id"]
    return job_id


def claimed(store: WorkerStore) -> Claim:
    claim = store.claim("worker-1")
    assert claim is not None
    return claim


async def ended(client: AsyncClient, store: WorkerStore) -> str:
    job_id = await queued(client)
    store.succeed(claimed(store), [stored_output()], Timing(), MODEL)
    return job_id


async def finished_job(client: AsyncClient, storage: ObjectStorage, store: WorkerStore) -> str:
    """Submit through the gateway, then do what a worker does."""
    job_id: str = (await client.post(URL, files=files())).json()["id"]
    claim = store.claim("worker-1")
    assert claim is not None
    output = stored_output(VIDEO).model_copy(update={"sha256": hashlib.sha256(VIDEO).hexdigest()})
    storage.put(output_key(job_id, claim.job.fence, output.name), VIDEO, output.content_type)
    store.succeed(claim, [output], Timing(run_seconds=1.0), MODEL)
    return job_id


async def submit_to(store: TenantJobs, **fields: object) -> None:
    await store.submit(
        new_job_id(),
        generation_request(**fields),
        metadata={},
        ttl=timedelta(hours=1),
        request_id="shot-12a",
    )


async def run_one(
    store: WorkerStore, gateway: TenantJobs, timing: Timing, **fields: object
) -> None:
    """A job from submission to its result, as a worker reports it."""
    await submit_to(gateway, **fields)
    claim = store.claim("gpu-1:7")
    assert claim
    store.succeed(claim, [], timing, MODEL)

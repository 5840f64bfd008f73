"""A tenant that floods a running stack, as another one sees it."""

import asyncio
from datetime import timedelta

from core.objects.object_keys import upload_key
from core.objects.storage import open_storage
from core.records.ids import new_job_id, new_upload_id
from core.records.job import Job
from core.records.request import Keyframe
from core.settings import Settings
from core.store.roles.gateway import Outcome
from core.store.roles.worker import WorkerStore
from core.store.uploads import UploadStore
from scripts.stack import Stack
from testkit.client import KEYFRAMES, Client
from testkit.store.tenant_jobs import TenantJobs

FLOOD = 1_000
FLOODER = "flooder"


async def flood(settings: Settings, like: Job) -> TenantJobs:
    """Submit FLOOD jobs like this one for another tenant; return a client of its jobs."""
    url = settings.find_redis()
    jobs = TenantJobs(url, FLOODER)
    uploads = UploadStore(jobs.redis)
    upload_id, image = new_upload_id(), like.request.keyframes[0].image
    await uploads.create(
        upload_id, FLOODER, timedelta(hours=1), max_bytes=image.bytes, max_bytes_of_all=image.bytes
    )
    await uploads.accept(upload_id, image)
    open_storage(settings).put(
        upload_key(upload_id, image), KEYFRAMES[0].read_bytes(), image.content_type
    )
    request = like.request.model_copy(update={"keyframes": [Keyframe(image=image)] * 2})
    for _ in range(FLOOD):
        made = await jobs.submit(
            new_job_id(),
            request,
            metadata={},
            ttl=timedelta(hours=1),
            request_id="",
            uploads={image.sha256: upload_id},
        )
        assert made.outcome is Outcome.CREATED
    return jobs


async def withdraw(jobs: TenantJobs) -> list[Job]:
    """Cancel what waits or runs. Answers the jobs that had begun."""
    begun, after = [], None
    while page := await jobs.page(status=None, after=after, limit=100):
        after = page[-1].job.id
        begun += [view.job for view in page if view.job.started_at]
        for view in page:
            await jobs.cancel(view.job.id)
    await jobs.close()
    return begun


def test_flood_delays_another_tenant_by_the_running_job_only(
    quick_stack: Stack, client: Client
) -> None:
    """A thousand jobs wait; the other tenant's first is next all the same."""
    settings, store = (
        Settings(state_dir=quick_stack.state),
        WorkerStore(Settings(state_dir=quick_stack.state).find_redis()),
    )
    like = store.get(client.wait(client.submit(seed=1))["id"])
    assert like
    with asyncio.Runner() as runner:
        flooder = runner.run(flood(settings, like))
        first = store.get(client.wait(client.submit(seed=2))["id"])
        begun = runner.run(withdraw(flooder))
    assert first
    assert first.started_at
    assert first.status == "succeeded"
    assert begun, "the flood was served too"
    meanwhile = [
        job
        for job in begun
        if job.started_at and first.created_at < job.started_at < first.started_at
    ]
    assert meanwhile == [], (
        "the job that ran when the other tenant came is the only one that it waited for"
    )

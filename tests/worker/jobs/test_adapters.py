"""A worker with an adapter: jobs choose it by name, and its segments are remembered apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.objects.object_keys import drawing_key
from core.objects.storage import open_storage
from core.records.job import Job, JobState
from core.settings import Settings
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from model.adapters import add_adapter, save_adapter
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.published_file import CheckpointError
from testkit.jobs import drawing
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import Worker, read
from testkit.worker.shot_jobs import submit_shot
from worker.engines.loading import load_engine, offer_of


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of tiny whose weights are random instead of taught."""
    folder = tmp_path_factory.mktemp("styles") / "ink"
    pipeline = ToonCrafterPipeline.from_preset("tiny", seed=0)
    add_adapter(pipeline, rank=2)
    torch.manual_seed(1)
    for name, parameter in pipeline.unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    save_adapter(pipeline, folder)
    return folder


@pytest.mark.long
async def test_jobs_choose_an_adapter(
    adapter: Path, settings: Settings, async_store: TenantJobs, store: WorkerStore
) -> None:
    """One worker, four jobs of equal drawings and seed: plain, adapted, and each once more."""
    settings = settings.model_copy(update={"model": "tiny", "adapters": [adapter], "device": "cpu"})
    loaded, storage = load_engine(settings, "cpu"), open_storage(settings)
    own_store = WorkerStore(settings.find_redis(), offer=offer_of("tiny", [adapter]))
    pipeline = loaded.engine._pipeline  # type: ignore[attr-defined]
    worker = Worker(own_store, storage, pipeline, model=loaded.model, adapters=loaded.adapters)
    fields = {"steps": 1, "guidance_scale": 1.0, "frames_between": 2}
    keys = [np.asarray(drawing(color=color)) for color in ("teal", "red")]

    async def drawn(model: str) -> tuple[Job, bytes]:
        job_id = await submit_shot(async_store, storage, keys, model=model, **fields)
        assert worker.run() == job_id
        job = read(store, job_id)
        assert job.status is JobState.SUCCEEDED
        return job, storage.get(drawing_key(job_id, job.fence, 1, 1))

    try:
        (seen,) = OperatorStore(settings.find_redis()).workers()
        assert seen.model_names == ["tiny", "ink"]
        assert [held.name for held in seen.adapters] == ["ink"]
        plain, adapted = await drawn("tiny"), await drawn("ink")
        assert plain[1] != adapted[1]
        models = [job.model for job, _ in (plain, adapted)]
        assert [model and model.name for model in models] == ["tiny", "ink"]
        assert len({model and model.weights for model in models}) == 2
        for model, (_, before) in (("tiny", plain), ("ink", adapted)):
            again, picture = await drawn(model)
            assert (again.reused_segments, picture) == (1, before)
    finally:
        worker.heartbeat.end()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"compile": True}, "TOONCRAFTER_COMPILE"),
        ({"adapters": ["/a/ink", "/b/ink.safetensors"]}, "names of their own"),
        ({"adapters": ["/a/tiny"]}, "names of their own"),
        ({"adapters": ["/a/ink,soft"]}, "without commas"),
        ({"adapters": ["/a/ink"]}, "/a/ink"),
    ],
)
def test_settings_that_make_no_worker(changes: dict[str, object], words: str) -> None:
    fields = {"model": "tiny", "device": "cpu", "adapters": ["/a/ink"]}
    settings = Settings.model_validate(fields | changes)
    with pytest.raises(CheckpointError, match=words):
        load_engine(settings, "cpu")

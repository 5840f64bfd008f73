"""A client that a machine wrote from openapi.yaml leads a job through its whole life, at a real
stack.
"""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from scripts.stack import Stack
from testkit.client import KEYFRAMES
from testkit.servers import ROOT

PACKAGE = "studio_client"
Operation = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def operation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operation]:
    """A generated module by `tag.operation`."""
    folder = tmp_path_factory.mktemp("generated")
    # the tool knows bytes by one name only
    (folder / "config.yaml").write_text(
        "post_hooks: []\ncontent_type_overrides: {image/png: application/octet-stream}\n"
    )
    tool = Path(sys.executable).with_name("openapi-python-client")
    arguments = [
        "--path",
        ROOT / "openapi.yaml",
        "--output-path",
        folder / PACKAGE,
        "--config",
        folder / "config.yaml",
    ]
    subprocess.run(
        [tool, "generate", "--meta", "none", *arguments], check=True, capture_output=True
    )
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"{PACKAGE}.api.{name}")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def client(quick_stack: Stack, operation: Operation) -> Iterator[Any]:
    """The generated client; an answer that the contract does not name is an error."""
    generated = importlib.import_module(PACKAGE)
    with generated.Client(
        base_url=quick_stack.url, raise_on_unexpected_status=True, timeout=httpx.Timeout(90)
    ) as client:
        yield client


def model(name: str, fields: dict[str, Any]) -> Any:
    return getattr(importlib.import_module(f"{PACKAGE}.models"), name).from_dict(fields)


def uploaded(client: Any, operation: Operation, image: Path) -> str:
    upload = operation("uploads.create_upload").sync(client=client)
    httpx.put(upload.upload_url, content=image.read_bytes()).raise_for_status()
    return str(upload.id)


def test_whole_life_of_a_job(client: Any, operation: Operation) -> None:
    """Estimated, submitted, replayed, followed, listed, fetched, deleted: each call typed, nothing
    by hand.
    """
    keyframes = [{"image": {"upload": uploaded(client, operation, image)}} for image in KEYFRAMES]
    fields = {
        "keyframes": keyframes,
        "steps": 2,
        "width": 128,
        "height": 128,
        "metadata": {"shot": "12a"},
    }
    body = model("InterpolationBody", fields)

    assert operation("interpolations.estimate").sync(client=client, body=body).frames > 0

    submit = operation("interpolations.submit")
    accepted = submit.sync_detailed(client=client, body=body, idempotency_key="generated")
    assert accepted.status_code is HTTPStatus.ACCEPTED
    job = accepted.parsed
    assert (job.status, job.metadata.to_dict()) == ("queued", {"shot": "12a"})
    replayed = submit.sync_detailed(client=client, body=body, idempotency_key="generated")
    assert (replayed.status_code, replayed.parsed.id) == (HTTPStatus.OK, job.id)

    read = operation("interpolations.read")
    while job.status not in ("succeeded", "failed", "canceled"):
        news = read.sync_detailed(
            job.id, client=client, prefer="wait=60", if_none_match=f'"{job.version}"'
        )
        job = news.parsed or job
    assert job.status == "succeeded", job.error

    listed = operation("interpolations.list_jobs").sync(client=client, status=job.status, limit=100)
    assert job.id in [one.id for one in listed.data]
    (output,) = job.outputs
    film = operation("interpolations.download").sync_detailed(job.id, output.name, client=client)
    assert film.status_code is HTTPStatus.OK
    assert len(film.content) == output.bytes_
    assert httpx.get(output.url).content == film.content

    drawing = operation("interpolations.drawing").sync_detailed(job.id, 3, client=client)
    assert drawing.status_code is HTTPStatus.OK
    assert drawing.content.startswith(b"\x89PNG")
    assert [one.index for one in job.plan.drawings] == [*range(16)]

    delete = operation("interpolations.delete")
    assert delete.sync_detailed(job.id, client=client).status_code is HTTPStatus.NO_CONTENT
    gone = read.sync_detailed(job.id, client=client)
    assert (gone.status_code, gone.parsed.code) == (HTTPStatus.NOT_FOUND, "not_found")


def test_canceled_job(client: Any, operation: Operation) -> None:
    """It has ended, and may be canceled again."""
    keyframes = [{"image": {"upload": uploaded(client, operation, image)}} for image in KEYFRAMES]
    body = model("InterpolationBody", {"keyframes": keyframes, "priority": "batch", "steps": 60})
    job = operation("interpolations.submit").sync(client=client, body=body)
    cancel = operation("interpolations.cancel")
    for _ in range(2):
        assert cancel.sync_detailed(job.id, client=client).status_code is HTTPStatus.OK
    read = operation("interpolations.read")
    while (job := read.sync(job.id, client=client, prefer="wait=60")).status == "running":
        pass
    assert job.status == "canceled"


def test_refusal_lists_every_problem(client: Any, operation: Operation) -> None:
    """As typed problems, each with its pointer."""
    body = model(
        "InterpolationBody", {"keyframes": [{"image": {"upload": "upl_none"}}] * 2, "steps": 500}
    )
    refused = operation("interpolations.submit").sync_detailed(client=client, body=body)
    assert (refused.status_code, refused.parsed.code) == (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
    )
    assert {problem.pointer: problem.code for problem in refused.parsed.errors} == {
        "/steps": "out_of_range",
        "/keyframes/0/image/upload": "upload_not_found",
        "/keyframes/1/image/upload": "upload_not_found",
    }


def test_deployment(client: Any, operation: Operation) -> None:
    """What it can do, and what waits."""
    assert operation("deployment.models").sync(client=client).data
    assert sum(operation("deployment.queue").sync(client=client).workers.to_dict().values()) == 1
    assert operation("health.ready").sync(client=client).to_dict() == {"status": "ready"}

"""The nodes, as ComfyUI's executor calls them: by their documented interface, with a service."""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scripts.stack import Stack
from testkit.servers import ROOT
from tooncrafter_client import Client, InvalidRequest

pytestmark = pytest.mark.long  # torch takes seconds to import

NODES = ROOT / "clients" / "comfyui"
WORKFLOW = json.loads((ROOT / "examples" / "comfyui.json").read_text())


class Interrupted(Exception):
    """What ComfyUI raises where its interrupt button was pressed."""


class Comfy:
    """The parts of ComfyUI that the nodes call, as ComfyUI 0.3.64 has them."""

    InterruptProcessingException = Interrupted

    def __init__(self) -> None:
        self.percents: list[int] = []
        self.processing_interrupted: Callable[[], bool] = lambda: False

    def progress_bar(self, total: int) -> SimpleNamespace:
        assert total == 100
        return SimpleNamespace(update_absolute=self.update_absolute)

    def update_absolute(self, value: int, total: int) -> None:
        """Move the bar; ComfyUI looks at its button then."""
        self.throw_exception_if_processing_interrupted()
        self.percents.append(value)

    def throw_exception_if_processing_interrupted(self) -> None:
        if self.processing_interrupted():
            raise Interrupted


@pytest.fixture
def comfy(monkeypatch: pytest.MonkeyPatch, quick_stack: Stack) -> Comfy:
    comfy = Comfy()
    package = ModuleType("comfy")
    package.utils = SimpleNamespace(ProgressBar=comfy.progress_bar)  # type: ignore[attr-defined]
    package.model_management = comfy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "comfy", package)
    for name in ("utils", "model_management"):
        monkeypatch.setitem(sys.modules, f"comfy.{name}", getattr(package, name))
    monkeypatch.setenv("TOONCRAFTER_URL", quick_stack.url)
    return comfy


@pytest.fixture
def nodes(comfy: Comfy) -> Iterator[dict[str, Any]]:
    """The folder, imported as ComfyUI imports it from `custom_nodes/`."""
    name = "custom_nodes_tooncrafter"
    spec = importlib.util.spec_from_file_location(
        name, NODES / "__init__.py", submodule_search_locations=[str(NODES)]
    )
    assert spec
    assert spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.NODE_CLASS_MAPPINGS
    for loaded in [loaded for loaded in sys.modules if loaded.startswith(name)]:
        del sys.modules[loaded]


def picture(name: str) -> Any:
    """What LoadImage answers: `(1, height, width, 3)` in [0, 1]."""
    import torch

    with Image.open(ROOT / "examples" / name) as image:
        pixels = np.asarray(image.convert("RGB").resize((128, 128)), dtype=np.float32)
    return torch.from_numpy(pixels / 255)[None]


def execute(workflow: dict[str, Any], nodes: dict[str, Any], wanted: str) -> tuple[Any, ...]:
    """Run a workflow in API format up to a node: check names and types of links, call nodes."""

    def value(node: dict[str, Any], name: str) -> Any:
        given = node["inputs"][name]
        if not isinstance(given, list):
            return given
        source, index = given
        if workflow[source]["class_type"] == "LoadImage":
            return picture(workflow[source]["inputs"]["image"])
        kinds = nodes[node["class_type"]].INPUT_TYPES()
        (declared, *_) = {**kinds["required"], **kinds.get("optional", {})}[name]
        assert nodes[workflow[source]["class_type"]].RETURN_TYPES[index] == declared
        return execute(workflow, nodes, source)[index]

    node = workflow[wanted]
    kind = nodes[node["class_type"]]
    inputs = kind.INPUT_TYPES()
    assert inputs["required"].keys() <= node["inputs"].keys()
    assert node["inputs"].keys() <= inputs["required"].keys() | inputs["optional"].keys()
    arguments = {name: value(node, name) for name in node["inputs"]}
    return getattr(kind(), kind.FUNCTION)(**arguments)  # type: ignore[no-any-return]


def test_workflow_of_the_examples(nodes: dict[str, Any], comfy: Comfy) -> None:
    """Two keys with places become seven drawings; the bar moves meanwhile."""
    WORKFLOW["5"]["inputs"]["steps"] = 2
    images, masks, report = execute(WORKFLOW, nodes, "5")
    assert images.shape == (7, *images.shape[1:3], 3)
    assert masks.shape == images.shape[:3]
    assert masks.max() == 0
    assert json.loads(report)["seed"] == 7
    assert comfy.percents == sorted(comfy.percents)
    assert comfy.percents


def test_batch_of_keys_with_transparency(nodes: dict[str, Any]) -> None:
    """The keys come back as they went in, alpha included."""
    import torch

    keys = torch.cat([picture("keyframe_a.png"), picture("keyframe_b.png")])
    masks = torch.zeros(keys.shape[:3])
    masks[:, :32] = 1
    sketch = nodes["ToonCrafterSketch"]().add(keys[:1], 1)[0]
    assert (sketch[0].frame, sketch[0].image[:4]) == (1, b"\x89PNG")
    drawn = nodes["ToonCrafterInBetweens"]().draw(
        images=keys, masks=masks, between=1, steps=1, seed=1, prompt="", output_size="source"
    )
    assert len(drawn.images) == 3
    assert torch.equal(drawn.masks[0], masks[0])
    assert torch.equal(drawn.images[0][32:], keys[0][32:])


@pytest.mark.parametrize("has_begun", [False, True])
def test_interrupt_cancels_the_job(
    nodes: dict[str, Any], comfy: Comfy, quick_stack: Stack, has_begun: bool
) -> None:
    """Before the bar moves, when nothing but the wait looks at the button, and after."""
    comfy.processing_interrupted = lambda: bool(comfy.percents) or not has_begun
    keys = {"images": picture("keyframe_a.png").repeat(2, 1, 1, 1)}
    with pytest.raises(Interrupted):
        nodes["ToonCrafterInBetweens"]().draw(**keys, between=3, steps=60, seed=1, prompt="")
    with Client(quick_stack.url) as client:
        (newest,) = client.jobs(most=1)
        assert newest.cancel_requested_at or newest.status == "canceled"


def test_mistakes_are_said(nodes: dict[str, Any]) -> None:
    in_betweens = nodes["ToonCrafterInBetweens"]()
    with pytest.raises(ValueError, match="connect either"):
        in_betweens.draw(between=3, prompt="", seed=1)
    with pytest.raises(InvalidRequest, match="steps"):
        in_betweens.draw(
            images=picture("keyframe_a.png").repeat(2, 1, 1, 1), steps=61, prompt="", seed=1
        )

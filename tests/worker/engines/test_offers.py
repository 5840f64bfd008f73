"""What a worker offers follows from the folder of its model and from its settings."""

from pathlib import Path

import pytest

from core.settings import Settings
from worker.engines.loading import SKETCH_ENCODER, load_engine, offer_of
from worker.gpu.canvas_memory import MemoryPlan


@pytest.mark.parametrize("has_encoder", [True, False])
def test_sketches_need_the_encoder_of_the_folder(tmp_path: Path, has_encoder: bool) -> None:
    """It is published in a file of its own, which not every converted model has."""
    folder = tmp_path / "tooncrafter"
    folder.mkdir()
    if has_encoder:
        (folder / SKETCH_ENCODER).mkdir()
    offer = offer_of(str(folder))
    assert (offer.name, offer.sketches) == ("tooncrafter", has_encoder)


def test_named_models() -> None:
    assert offer_of("tiny").sketches
    assert not offer_of("preview").sketches


def test_the_experimental_model_is_drawn_in_one_step() -> None:
    """It has no sketch encoder, and more steps draw worse."""
    offer = offer_of("tiny-experimental")
    assert offer.sampling is not None
    assert (offer.sampling.steps, offer.sampling.eta, offer.sampling.guidance_scale) == (1, 0, 1)
    assert not offer.sketches


def test_a_loaded_model_tells_what_its_rounding_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that was drawn in another way is not mixed with this worker's."""
    in_turns = MemoryPlan(guidance_in_turns=True)  # as on a card with little memory
    monkeypatch.setattr("worker.gpu.canvas_memory.plan_memory", lambda *_: in_turns)
    _, model, _ = load_engine(Settings(model="tiny"), "cpu")
    assert (model.guidance_in_turns, model.compiled) == (True, False)

"""What a worker offers follows from what its model's folder holds."""

from pathlib import Path

import pytest

from worker.engines.loading import SKETCH_ENCODER, offer_of


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

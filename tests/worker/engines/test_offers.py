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

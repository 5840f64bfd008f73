"""Answers about the text and the image encoder."""

import torch
from torch import Tensor

from model.clip import clip_tokenizer, preprocess_for_clip, tokenize
from model.video_processor import ToonCrafterVideoProcessor, inverted_grey
from scripts.goldens.registry import Case, golden


@golden("text_encoder")
def text_encoder(case: Case) -> dict[str, Tensor]:
    """Token ids of all prompts, encodings of some."""
    token_ids = tokenize(clip_tokenizer(), case["prompts"])
    encoded = case.parts.text_encoder(token_ids[case["rows_encoded"]]).last_hidden_state
    return {"token_ids": token_ids.int(), "out": encoded}


@golden("image_encoder")
def image_encoder(case: Case) -> dict[str, Tensor]:
    """Preprocessed pictures of all sizes; tokens of those stored, and of an all-zero picture."""
    outputs = {}
    size = case.parts.image_encoder.config.image_size
    for letter in case["sizes"]:
        pixels = preprocess_for_clip(case.pixels(f"clip_img_{letter}"), size)
        outputs[f"pre_{letter}"] = pixels
        if f"tokens_{letter}" in case["outputs"]:
            outputs[f"tokens_{letter}"] = case.parts.image_encoder(pixels).last_hidden_state
    grey = preprocess_for_clip(torch.zeros(1, 3, size, size), size)
    return outputs | {"tokens_zero": case.parts.image_encoder(grey).last_hidden_state}


@golden("sketch_preprocess")
def sketch_preprocess(case: Case) -> dict[str, Tensor]:
    """A drawing as the sketch encoder's hint."""
    sketch = case.picture("sk_frame")
    hint = ToonCrafterVideoProcessor().preprocess_sketch([sketch], *case["hw"])
    return {"gray_inverted_u8": torch.from_numpy(inverted_grey(sketch)), "hint": hint}

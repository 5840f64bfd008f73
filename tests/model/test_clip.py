"""What goes into the text and the vision tower."""

import hashlib
from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from model.clip import (
    END,
    MERGES,
    PADDING,
    START,
    clean_text,
    clip_tokenizer,
    preprocess_for_clip,
    tokenize,
)


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return clip_tokenizer()


class TestText:
    def test_the_vocabulary_is_the_published_file(self) -> None:
        """Its digest stands beside it."""
        digest = hashlib.sha256(MERGES.read_bytes()).hexdigest()
        assert digest in (MERGES.parent / "README.md").read_text()

    def test_an_empty_prompt_is_two_marks_and_padding(self, tokenizer: CLIPTokenizer) -> None:
        assert tokenize(tokenizer, [""])[0].tolist() == [START, END] + [PADDING] * 75

    @pytest.mark.parametrize("words", [74, 75, 76, 500])
    def test_every_row_has_its_end(self, tokenizer: CLIPTokenizer, words: int) -> None:
        ids = tokenize(tokenizer, ["cat " * words])[0]
        assert ids.shape == (77,)
        assert ids[min(words + 1, 76)] == END

    def test_mojibake_entities_space_and_case_do_not_matter(self) -> None:
        assert clean_text("  A   CafÃ© &amp;amp;\tcream ") == "a café & cream"

    def test_ids_survive_saving(self, tokenizer: CLIPTokenizer, tmp_path: Path) -> None:
        """The tokenizer of a pipeline's folder is the same one."""
        tokenizer.save_pretrained(str(tmp_path))
        prompts = ["", "a cat's 3 lives, déjà-vu! 猫", "<|endoftext|> in a prompt"]
        again = CLIPTokenizer.from_pretrained(str(tmp_path))
        assert torch.equal(tokenize(again, prompts), tokenize(tokenizer, prompts))


class TestPictures:
    @pytest.mark.parametrize(("height", "width"), [(224, 224), (320, 512), (100, 1000), (7, 9)])
    def test_a_plain_colour_stays_plain(self, height: int, width: int) -> None:
        """Whatever is blurred and stretched; mid grey at any size is the unconditional picture."""
        grey = preprocess_for_clip(torch.zeros(1, 3, height, width))
        torch.testing.assert_close(
            grey, preprocess_for_clip(torch.zeros(1, 3, 224, 224)), atol=1e-5, rtol=1e-5
        )

    def test_a_picture_of_the_right_size_is_not_blurred(self) -> None:
        picture = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
        levels = preprocess_for_clip(picture)
        mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
        std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
        torch.testing.assert_close(
            levels * std.view(3, 1, 1) + mean.view(3, 1, 1), (picture + 1) / 2
        )

    def test_fine_stripes_are_blurred_before_shrinking(self) -> None:
        """They would alias otherwise."""
        stripes = torch.ones(1, 3, 896, 896)
        stripes[..., ::2] = -1
        plain = preprocess_for_clip(torch.zeros(1, 3, 224, 224))
        assert (preprocess_for_clip(stripes) - plain).abs().max() < 0.05

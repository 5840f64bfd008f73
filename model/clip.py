"""OpenCLIP ViT-H/14, the text and the vision tower: which of transformers' classes they are, and
what goes into them.

The published encodings are the text tower's without its last layer, final norm applied, and the
vision tower's last hidden state without a norm. So the text tower here simply has a layer fewer
than the published one.
"""

import gzip
import html
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ftfy
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
)

CONTEXT_LENGTH = 77
START, END, PADDING = 49406, 49407, 0  # this model pads with "!", not with the end of text
MERGES = Path(__file__).parent / "clip_vocabulary" / "bpe_simple_vocab_16e6.txt.gz"
MERGES_USED = 49152 - 256 - 2  # the vocabulary was cut to a round size when CLIP was trained
MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training pictures, RGB in [0, 1]
STD = (0.26862954, 0.26130258, 0.27577711)


def text_tower(
    hidden_size: int = 1024, num_hidden_layers: int = 23, num_attention_heads: int = 16
) -> CLIPTextModel:
    """The text tower with fresh weights; `num_hidden_layers` counts the layers that are run.

    `(n, 77)` token ids to `last_hidden_state` `(n, 77, hidden_size)`, to be called without an
    attention mask: padding is attended like any token.
    """
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=END + 1,
            max_position_embeddings=CONTEXT_LENGTH,
            hidden_size=hidden_size,
            intermediate_size=4 * hidden_size,
            num_hidden_layers=num_hidden_layers,
            num_attention_heads=num_attention_heads,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
            pad_token_id=PADDING,
            bos_token_id=START,
            eos_token_id=END,
        )
    )


def vision_tower(
    hidden_size: int = 1280,
    num_hidden_layers: int = 32,
    num_attention_heads: int = 16,
    image_size: int = 224,
    patch_size: int = 14,
) -> CLIPVisionModel:
    """The vision tower with fresh weights: preprocessed pictures to `last_hidden_state` `(n, 257,
    hidden_size)`.
    """
    return CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=hidden_size,
            intermediate_size=4 * hidden_size,
            num_hidden_layers=num_hidden_layers,
            num_attention_heads=num_attention_heads,
            image_size=image_size,
            patch_size=patch_size,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
        )
    )


def clip_tokenizer() -> CLIPTokenizer:
    """CLIP's byte-pair tokenizer; `tokenize` cleans, cuts and pads as the published text encoder
    expects.
    """
    lines = gzip.decompress(MERGES.read_bytes()).decode("utf-8").splitlines()
    merges = lines[1 : 1 + MERGES_USED]  # the first line is the file's version
    symbols = _byte_symbols()
    words = [
        *symbols,
        *(symbol + "</w>" for symbol in symbols),
        *(merge.replace(" ", "") for merge in merges),
    ]
    vocabulary = {
        word: index for index, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])
    }
    # what the tokenizer wants, whatever its annotation says
    pairs: Any = [tuple(merge.split()) for merge in merges]
    return CLIPTokenizer(vocab=vocabulary, merges=pairs)


def _byte_symbols() -> list[str]:
    """A printable character for each byte: printable bytes stand for themselves and come first."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    return [chr(byte) for byte in printable] + [
        chr(256 + index) for index in range(256 - len(printable))
    ]


def tokenize(tokenizer: CLIPTokenizer, prompts: Sequence[str]) -> Tensor:
    """Token ids `(n, 77)`, int64: start, text, end, then padding; a longer text is cut and ends in
    the end token.
    """
    rows = []
    for prompt in prompts:
        ids = [START, *tokenizer(clean_text(prompt), add_special_tokens=False)["input_ids"], END]
        if len(ids) > CONTEXT_LENGTH:
            ids = [*ids[: CONTEXT_LENGTH - 1], END]
        rows.append(ids + [PADDING] * (CONTEXT_LENGTH - len(ids)))
    return torch.tensor(rows, dtype=torch.int64)


def clean_text(prompt: str) -> str:
    """The prompt as CLIP's training captions were cleaned: mojibake, HTML entities, white space,
    case.
    """
    unescaped = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", unescaped).strip().lower()


def preprocess_for_clip(pictures: Tensor, size: int = 224) -> Tensor:
    """Stretch pictures to the vision tower's square and normalise their colours.

    Args:
        pictures: `(n, 3, height, width)` in [-1, 1], any size; the unconditional input is mid grey,
            all 0.
        size: side of the square.

    Returns:
        `(n, 3, size, size)`, float32. Bicubic overshoot is kept.
    """
    pictures = _blurred_for(pictures.float(), size)
    pictures = F.interpolate(pictures, (size, size), mode="bicubic", align_corners=True)
    mean, std = (
        torch.tensor(values, device=pictures.device).view(3, 1, 1) for values in (MEAN, STD)
    )
    return ((pictures + 1) / 2 - mean) / std


def _blurred_for(pictures: Tensor, size: int) -> Tensor:
    """Take out the detail that shrinking to `size` would alias, along each axis by as much as it
    shrinks.
    """
    factors = [side / size for side in pictures.shape[2:]]
    if max(factors) <= 1:
        return pictures
    rows, columns = (
        _gaussian_taps(max((factor - 1) / 2, 0.001)).to(pictures.device) for factor in factors
    )
    pad_rows, pad_columns = len(rows) // 2, len(columns) // 2
    padded = F.pad(pictures, (pad_columns, pad_columns, pad_rows, pad_rows), mode="reflect")
    channels = pictures.shape[1]
    blurred = F.conv2d(padded, rows.view(1, 1, -1, 1).expand(channels, 1, -1, -1), groups=channels)
    return F.conv2d(blurred, columns.view(1, 1, 1, -1).expand(channels, 1, -1, -1), groups=channels)


def _gaussian_taps(sigma: float) -> Tensor:
    """A Gaussian of odd length, about two standard deviations to each side, that sums to 1."""
    length = int(max(4 * sigma, 3)) // 2 * 2 + 1
    distances = torch.arange(length) - length // 2
    taps = torch.exp(-distances.square() / (2 * math.pow(sigma, 2)))
    return taps / taps.sum()

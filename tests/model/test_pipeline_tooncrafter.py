"""The pipeline as its callers see it: two drawings in, a clip out."""

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.plain_pipeline import PlainPipeline
from model.pipeline_tooncrafter import NumericalError, ToonCrafterPipeline

CANVAS = {"height": 64, "width": 64, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def pipe() -> ToonCrafterPipeline:
    made = ToonCrafterPipeline.from_preset("tiny")
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def keyframes() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, (90, 150, 3), dtype=np.uint8),
        rng.integers(0, 256, (100, 140, 3), dtype=np.uint8),
    ]


@pytest.fixture(scope="module")
def plain(pipe) -> PlainPipeline:
    made = PlainPipeline(**pipe.components)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def drawn(pipe, keyframes) -> np.ndarray:
    """What the pipeline draws of the key frames, with nothing changed."""
    return draw(pipe, keyframes)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(pipe: ToonCrafterPipeline, keyframes: list[np.ndarray], **changes) -> np.ndarray:
    return pipe(keyframes, **{**CANVAS, "generator": seeded(), **changes}).frames


class TestClip:
    def test_frames_are_pictures_of_the_canvas(self, pipe, keyframes):
        frames = draw(pipe, keyframes, width=128)
        assert (frames.shape, frames.dtype) == ((16, 64, 128, 3), np.uint8)
        assert frames.std() > 10, "random weights still draw something, not a flat grey"

    def test_same_seed_same_frames(self, pipe, keyframes, drawn):
        assert (draw(pipe, keyframes) == drawn).all()
        assert (draw(pipe, keyframes, generator=seeded(2)) != drawn).any()

    @pytest.mark.parametrize(
        ("height", "width", "frames"), [(128, 64, 16), (64, 64, 5), (64, 64, 12)]
    )
    def test_portrait_and_other_lengths(self, pipe, keyframes, height, width, frames):
        clip = draw(pipe, keyframes, height=height, width=width, num_frames=frames)
        assert clip.shape == (frames, height, width, 3)

    def test_every_input_matters(self, pipe, keyframes, drawn):
        for changed in (
            {"prompt": "a cat walks"},
            {"negative_prompt": "blurry"},
            {"frame_stride": 25},
            {"guidance_scale": 3.0},
            {"guidance_rescale": 0.0},
            {"eta": 0.0},
            {"two_pass_decode": False},
        ):
            assert (draw(pipe, keyframes, **changed) != drawn).any(), changed
        assert (draw(pipe, keyframes[::-1]) != drawn).any()

    def test_sketches_steer(self, pipe, keyframes):
        sketches = [None] * 16
        blank = draw(pipe, keyframes, sketches=sketches)
        sketches[7] = np.zeros((64, 128, 3), np.uint8)
        assert (draw(pipe, keyframes, sketches=sketches) != blank).any()
        # at this width both ways of computing the UNet round alike
        without, off = (
            draw(pipe, keyframes, width=128, **changes)
            for changes in ({}, {"sketches": sketches, "control_scale": 0.0})
        )
        assert (off == without).all()

    def test_branches_of_guidance_in_turns_draw_the_same(self, pipe, keyframes):
        """What a worker does where memory is short; sketches have residuals for each branch."""
        jobs = [{}, {"sketches": [np.zeros((64, 64, 3), np.uint8)] * 16}, {"guidance_scale": 1.0}]
        together = [draw(pipe, keyframes, **job).astype(int) for job in jobs]
        pipe.guidance_in_turns = True
        try:
            in_turns = [draw(pipe, keyframes, **job) for job in jobs]
        finally:
            pipe.guidance_in_turns = False
        for one, other in zip(together, in_turns, strict=True):
            assert np.abs(one - other).max() <= 1

    def test_stages_and_steps_are_reported_in_order(self, pipe, keyframes):
        seen: list[str | int] = []
        draw(
            pipe,
            keyframes,
            callback_on_stage=seen.append,
            callback_on_step_end=lambda pipe, index, timestep, state: seen.append(index) or {},
        )
        assert seen == ["encoding", "denoising", 0, 1, "decoding"]

    def test_clean_latents_of_the_last_step_are_nearly_the_result(self, pipe, keyframes):
        """They may be shown while the call runs; the last step still leaves a trace of noise."""
        clean: list[Tensor] = []
        draw_latents = draw(
            pipe,
            keyframes,
            output_type="latent",
            callback_on_step_end=lambda pipe, index, timestep, state: (
                clean.append(state["clean"]) or {}
            ),
        )
        assert [one.shape for one in clean] == [draw_latents.shape] * 2
        first, last = (float((one - draw_latents).abs().mean()) for one in clean)
        assert last < 0.5 * first

    def test_an_exception_from_the_callback_ends_the_call(self, pipe, keyframes):
        """This is how a job is cancelled."""
        steps = []

        def cancel(pipe: object, index: int, timestep: Tensor, state: dict) -> dict:
            steps.append(index)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            draw(pipe, keyframes, callback_on_step_end=cancel)
        assert steps == [0]

    def test_latents_and_tensors_can_be_had_instead(self, pipe, keyframes):
        assert draw(pipe, keyframes, output_type="latent").shape == (1, 4, 16, 8, 8)
        assert draw(pipe, keyframes, output_type="pt").shape == (1, 3, 16, 64, 64)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"width": 500}, "multiple of 64 but is 500"),
            ({"num_frames": 1}, "2 or more"),
            ({"output_type": "pil"}, "'np', 'pt' or 'latent'"),
            ({"sketches": [None] * 3}, "one entry for each of 16 frames: 3"),
        ],
    )
    def test_says_what_was_wanted_and_what_came(self, pipe, keyframes, changed, message):
        with pytest.raises(ValueError, match=message):
            draw(pipe, keyframes, **changed)

    def test_one_key_frame_is_not_enough(self, pipe, keyframes):
        with pytest.raises(ValueError, match="holds 1"):
            draw(pipe, keyframes[:1])

    def test_numbers_that_are_not_finite_are_an_error_and_no_video(self, pipe, keyframes):
        def poison(pipe: object, index: int, timestep: Tensor, state: dict) -> dict:
            return {"latents": state["latents"] * float("nan")}

        with pytest.raises(NumericalError, match="latents"):
            draw(pipe, keyframes, callback_on_step_end=poison)
        with pytest.raises(NumericalError, match="frames"):
            pipe.decode(torch.full((1, 4, 3, 8, 8), torch.inf), references=None)


class TestSavings:
    """Each is the same arithmetic with less work; `PlainPipeline` does it the long way with the
    same weights.
    """

    @pytest.mark.parametrize("sketches", [None, [None] * 16])
    def test_whole_clip(self, pipe, plain, keyframes, sketches):
        saved = draw(pipe, keyframes, output_type="pt", sketches=sketches)
        long_way = draw(plain, keyframes, output_type="pt", sketches=sketches)
        torch.testing.assert_close(saved, long_way, atol=1e-3, rtol=0)

    def test_two_pictures_give_the_latents_and_references_of_sixteen(self, pipe, plain):
        pictures, noise = torch.rand(2, 3, 64, 64) * 2 - 1, torch.randn(16, 4, 8, 8)
        with torch.no_grad():
            latents, references = pipe.encode_key_frames(pictures, 16, noise)
            latents_of_16, hidden_states = plain.encode_key_frames(pictures, 16, noise)
            references_of_16 = pipe.vae.prepare_references(hidden_states)
        torch.testing.assert_close(latents, latents_of_16, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(references, references_of_16, atol=1e-5, rtol=1e-5)

    def test_both_branches_in_one_batch_with_a_shared_start(self, pipe):
        sample, context, timestep = (
            torch.randn(1, 8, 16, 8, 8),
            torch.randn(2, 333, 32),
            torch.tensor([500]),
        )
        with torch.no_grad():
            together = pipe.unet(sample, timestep, pipe.unet.project_context(context, 16))
            apart = torch.cat([pipe.unet(sample, timestep, branch) for branch in context.split(1)])
        torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-4)

    def test_the_unconditional_context_is_encoded_once(self, keyframes):
        pipe = ToonCrafterPipeline.from_preset("tiny")
        pipe.set_progress_bar_config(disable=True)
        runs = []
        pipe.image_encoder.register_forward_hook(lambda *_: runs.append(1))
        first, second = draw(pipe, keyframes), draw(pipe, keyframes)
        assert len(runs) == 3, "a picture for each clip, and the grey one once"
        assert (first == second).all()

    def test_second_pass_gives_the_middle_frames_alone(self, pipe, plain):
        latents, pictures = torch.randn(1, 4, 16, 8, 8), torch.rand(2, 3, 64, 64)
        with torch.no_grad():
            hidden_states = pipe.vae.encode(pictures)[1]
            references = pipe.vae.prepare_references(hidden_states)
            twice, once = (
                pipe.decode(latents, references),
                pipe.decode(latents, references, two_pass=False),
            )
            long_way = plain.decode(latents, hidden_states)
        torch.testing.assert_close(twice, long_way, atol=1e-5, rtol=1e-4)
        changed = [
            frame for frame in range(16) if not torch.equal(twice[:, :, frame], once[:, :, frame])
        ]
        assert changed == [7, 8]


class TestKeeping:
    def test_saved_folder_draws_the_same(self, pipe, keyframes, drawn, tmp_path):
        pipe.save_pretrained(tmp_path)
        loaded = ToonCrafterPipeline.from_pretrained(tmp_path)
        loaded.set_progress_bar_config(disable=True)
        assert (draw(loaded, keyframes) == drawn).all()

    def test_half_precision_comes_close(self, pipe, keyframes, drawn, tmp_path):
        pipe.save_pretrained(tmp_path)
        half = ToonCrafterPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
        half.set_progress_bar_config(disable=True)
        difference = draw(half, keyframes).astype(float) - drawn
        assert np.sqrt((difference**2).mean()) < 25, "of 255; random weights amplify rounding"

    def test_encoders_go_to_main_memory_and_come_back(self, keyframes):
        pipe = ToonCrafterPipeline.from_preset("tiny")
        pipe.set_progress_bar_config(disable=True)
        pipe.offload_encoders = True
        frames = draw(pipe, keyframes)
        assert pipe.text_encoder.device.type == "cpu"
        assert (draw(pipe, keyframes) == frames).all()

    def test_offload_order_names_every_network(self, pipe):
        networks = {
            name for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)
        }
        assert set(pipe.model_cpu_offload_seq.split("->")) == networks

    def test_seed_gives_the_weights(self):
        same, other = (
            ToonCrafterPipeline.from_preset("tiny"),
            ToonCrafterPipeline.from_preset("tiny", seed=1),
        )
        again = ToonCrafterPipeline.from_preset("tiny")
        assert torch.equal(same.unet.conv_in.weight, again.unet.conv_in.weight)
        assert not torch.equal(same.unet.conv_in.weight, other.unet.conv_in.weight)

    def test_unknown_preset(self):
        with pytest.raises(ValueError, match="tiny"):
            ToonCrafterPipeline.from_preset("large")


class TestTraining:
    def test_a_loss_on_frames_reaches_every_parameter_of_unet_and_decoder(self, pipe):
        context, latents = torch.randn(1, 333, 32), torch.randn(1, 8, 16, 8, 8)
        prediction = pipe.unet(latents, torch.tensor([500]), context, torch.tensor([10]))
        references = pipe.vae.prepare_references(pipe.vae.encode(torch.rand(2, 3, 64, 64))[1])
        pipe.vae.decode(prediction, references).square().mean().backward()
        unreached = [
            name
            for part in (pipe.unet, pipe.vae.decoder)
            for name, parameter in part.named_parameters()
            if parameter.grad is None or not parameter.grad.any()
        ]
        pipe.unet.zero_grad()
        pipe.vae.zero_grad()
        assert unreached == []

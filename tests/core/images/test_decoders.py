"""Processes that decode: what they answer, what they may take, and what is left when one of them
dies.
"""

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

from core.errors import Unavailable
from core.images import decoder
from core.images import pool as decoders
from core.images.decoder import DecoderLimits
from core.images.errors import ImageRefused, UnreadableImage
from core.images.formats import inspect_image, read_drawing
from core.images.messages import ImageFacts
from core.images.pool import Decoders
from testkit.images.decoders import DYING, LIMITS, MAX_PIXELS, children, state
from testkit.images.profiles import ADOBE_RGB
from testkit.jobs import drawing, encoded, png
from testkit.servers import ROOT, wait_until

HURRIED = DecoderLimits(max_pixels=MAX_PIXELS, max_bytes=2**20, cpu_time=timedelta(seconds=1))
GOOD = ImageFacts("image/png", 64, 40)


@pytest.fixture(scope="class")
def lasting() -> Iterator[Decoders]:
    """Decoders that do what they find in an image, of which each test leaves one running."""
    decoders = Decoders(LIMITS, DYING)
    yield decoders
    decoders.close()


class TestResults:
    def test_alpha_comes_with_the_colours(self, real: Decoders) -> None:
        """A drawing without a transparent pixel has three channels, whatever the file has."""
        clear = drawing().convert("RGBA")
        opaque = real.draw(encoded(clear))
        clear.putpixel((3, 2), (9, 8, 7, 0))
        width, height, pixels = found = real.draw(encoded(clear))
        assert (opaque.channels, found.channels) == (3, 4)
        levels = np.frombuffer(pixels, np.uint8).reshape(height, width, 4)
        np.testing.assert_array_equal(levels, np.asarray(clear))

    @pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
    def test_are_those_of_decoding_here(self, real: Decoders, file_format: str) -> None:
        """Type, size and every pixel, whatever way they went."""
        exif = Image.Exif()
        exif[0x0112] = 6
        data = encoded(drawing(), file_format, exif=exif)
        assert real.inspect(data) == inspect_image(data, max_pixels=MAX_PIXELS)
        width, height, pixels = real.draw(data)
        expected = np.asarray(read_drawing(data, max_pixels=MAX_PIXELS))
        np.testing.assert_array_equal(
            np.frombuffer(pixels, np.uint8).reshape(height, width, 3), expected
        )

    def test_refusals_have_the_same_words(self, real: Decoders) -> None:
        """The caller reads them; the process that refused goes on."""
        for data in (b"", b"GIF89a", png()[:100], png(2000, 1000)):
            with pytest.raises(ImageRefused) as here:
                inspect_image(data, max_pixels=MAX_PIXELS)
            with pytest.raises(ImageRefused) as there:
                real.inspect(data)
            assert str(there.value) == str(here.value)
        (process,) = children()
        assert real.inspect(png()) == GOOD
        assert children() == [process]

    @pytest.mark.parametrize(
        ("mode", "file_format", "options"),
        [
            ("RGBA", "TIFF", {"compression": "tiff_lzw"}),
            *(
                pytest.param(*image, marks=pytest.mark.long)
                for image in (
                    ("RGBA", "WEBP", {"lossless": True, "quality": 0, "method": 0}),
                    ("RGBA", "PNG", {"compress_level": 1}),
                    ("CMYK", "JPEG", {"progressive": True}),
                )
            ),
        ],
    )
    def test_largest_image_fits_the_memory(
        self, mode: str, file_format: str, options: dict
    ) -> None:
        """Of each format what takes most; a limit that refuses good images would be none."""
        data = encoded(
            Image.effect_noise((3000, 3000), 10).convert("RGB").convert(mode),
            file_format,
            **options,
        )
        limits = DecoderLimits(
            max_pixels=9_000_000, max_bytes=len(data), cpu_time=timedelta(seconds=60)
        )
        decoders = Decoders(limits)
        try:
            assert decoders.inspect(data).width == 3000
            assert decoders.draw(data).height == 3000
        finally:
            decoders.close()

    def test_16_bits_alpha_and_a_profile_fit_the_memory(self) -> None:
        """A TIFF with premultiplied alpha is what takes most of all."""
        levels = np.full((3000, 3000, 4), 30_000, np.uint16)
        file = io.BytesIO()
        tifffile.imwrite(
            file,
            levels,
            photometric="rgb",
            extrasamples=["assocalpha"],
            compression="lzw",
            rowsperstrip=3000,
            iccprofile=ADOBE_RGB,
        )
        limits = DecoderLimits(
            max_pixels=9_000_000, max_bytes=file.tell(), cpu_time=timedelta(seconds=60)
        )
        decoders = Decoders(limits)
        try:
            assert decoders.draw(file.getvalue()).height == 3000
        finally:
            decoders.close()


class TestFatalImages:
    @pytest.mark.parametrize(
        ("order", "reason"),
        [
            (b"segfault", r"ended the process that decoded it \(SIGSEGV\)"),
            (b"abort", r"ended the process that decoded it \(SIGABRT\)"),
            (b"exit", r"ended the process that decoded it \(exit code 3\)"),
            (b"raise", r"ended the process that decoded it \(exit code 1\)"),
            (b"memory", r"must be decodable within \d+ MiB; it takes more"),
            (b"answer {", "answer nonsense"),
            (b"answer []", "answer nonsense"),
            (b"answer " + b"[" * 900, "answer nonsense"),
            (b"answer " + b" " * 2000, "answer nonsense"),
            (b'answer {"content_type": "text/html", "width": 1, "height": 1}', "answer nonsense"),
            (b'answer {"content_type": "image/png", "width": 1e3, "height": 1}', "answer nonsense"),
            (
                b'answer {"content_type": "image/png", "width": 1000001, "height": 1}',
                "answer nonsense",
            ),
        ],
    )
    def test_cost_one_image(self, lasting: Decoders, order: bytes, reason: str) -> None:
        """It is refused and says why; the next one is decoded at once."""
        assert lasting.inspect(png()) == GOOD
        with pytest.raises(UnreadableImage, match=reason):
            lasting.inspect(order)
        assert lasting.inspect(png()) == GOOD
        assert len(children()) == 1


class TestDeaths:
    def test_image_without_end(self) -> None:
        """So much computing is allowed for an image, however many came before it."""
        decoders = Decoders(HURRIED, DYING)
        try:
            assert decoders.inspect(png()) == GOOD
            with pytest.raises(UnreadableImage, match="within 1 s of CPU time; it takes longer"):
                decoders.inspect(b"compute")
            assert decoders.inspect(png()) == GOOD
        finally:
            decoders.close()

    def test_what_an_earlier_image_left_behind(self, dying: Decoders) -> None:
        """A process that it damaged may die of a good one, which therefore gets another."""
        dying.inspect(b"spoil")
        spoiled = children()
        assert dying.inspect(png()) == GOOD
        assert children() != spoiled

    def test_killed_from_outside(self, real: Decoders) -> None:
        """The image is tried again: the kernel may have been out of memory."""
        real.inspect(png())
        (process,) = children()
        process.kill()
        assert real.inspect(png()) == GOOD

    def test_killed_again_and_again(self, dying: Decoders) -> None:
        """Then it is a matter of the machine, and may be tried later; no refusal of the
        image.
        """
        with pytest.raises(Unavailable, match="was killed; try again"):
            dying.inspect(b"killed")
        assert dying.inspect(png()) == GOOD

    def test_no_time_to_compute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that hardly runs gives no answer, and waiting for it is limited."""
        monkeypatch.setattr(decoder, "SPARE_SECONDS", 0)
        decoders = Decoders(HURRIED, DYING)
        try:
            with pytest.raises(Unavailable, match="too busy"):
                decoders.inspect(b"sleep")
            assert children() == []
            monkeypatch.undo()
            assert decoders.inspect(png()) == GOOD
        finally:
            decoders.close()


class TestLife:
    def test_made_when_needed_and_kept(self, dying: Decoders) -> None:
        """As many as are used at one time."""
        assert children() == []
        assert state(dying)["pid"] == state(dying)["pid"]
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(dying.inspect, [png()] * 30)) == [GOOD] * 30
        assert len(children()) <= 3

    def test_replaced_after_so_many_images(
        self, dying: Decoders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a decoder leaks does not add up."""
        monkeypatch.setattr(decoders, "IMAGES_PER_PROCESS", 2)
        pids = [state(dying)["pid"] for _ in range(4)]
        assert pids[0] == pids[1] != pids[2] == pids[3]

    @pytest.mark.parametrize(
        "program", ["no such module", "no such interpreter", "not one that decodes"]
    )
    def test_none_can_be_made(self, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
        """That says nothing about the image: it may be sent again."""
        if program != "no such module":
            monkeypatch.setattr(
                sys, "executable", {"no such interpreter": "/nowhere"}.get(program, "/bin/false")
            )
        decoders = Decoders(LIMITS, "core.nothing")
        with pytest.raises(Unavailable, match="no process can be started to decode images"):
            decoders.inspect(png())
        decoders.close()

    def test_close_ends_one_that_decodes(self, dying: Decoders) -> None:
        """Its caller gets an error, and no new process starts."""
        heard: list[BaseException] = []

        def wait() -> None:
            try:
                dying.inspect(b"sleep")
            except BaseException as error:
                heard.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(
            lambda: any("sleep" in one.status() for one in children()), "a process has begun"
        )
        dying.close()
        waiting.join(20)
        assert [type(error) for error in heard] == [Unavailable]
        assert children() == []

    @pytest.mark.parametrize("order", ["good", "compute"])
    def test_none_outlives_its_parent(self, order: str) -> None:
        """A killed parent ends no child: an idle process ends with its orders, a busy one
        with its time.
        """
        command = [sys.executable, "-m", "testkit.images.holds_a_decoder", order]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
            wait_until(lambda: children(parent.pid), "it has a decoder")
            (process,) = children(parent.pid)
            if order == "good":
                assert parent.stdout is not None
                assert b"none of them" in parent.stdout.readline()
            parent.send_signal(signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            process.wait(60)
        assert not process.is_running()

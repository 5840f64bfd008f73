"""A studio's clips: read in order, cut into shots, held drawings dropped."""

from pathlib import Path

import av
import cv2
import numpy as np

from training.data.drawing import Picture
from training.data.studio import find_clips, read_frames, shots


def ball(x: int, background: int = 230) -> Picture:
    picture = np.full((80, 128, 3), background, np.uint8)
    cv2.circle(picture, (x, 40), 12, (200, 40, 40), -1, cv2.LINE_AA)
    return picture


def write_folder(folder: Path, frames: dict[int, Picture]) -> None:
    folder.mkdir()
    for number, frame in frames.items():
        cv2.imwrite(str(folder / f"cut_{number:04d}.png"), frame[..., ::-1])


def test_folder_on_twos(tmp_path: Path) -> None:
    """Held drawings leave gaps in the numbers, which keep the timing."""
    frames = {number: ball(20 + 4 * (number // 2)) for number in range(8)}
    write_folder(tmp_path / "cut", frames)
    (shot,) = shots("cut", read_frames(tmp_path / "cut"))
    assert shot.numbers == [0, 2, 4, 6]
    assert (shot.frames[1] == frames[2]).all()


def test_scene_change_cuts(tmp_path: Path) -> None:
    """Another background starts another shot."""
    frames = {n: ball(20 + 4 * n) if n < 4 else ball(20 + 4 * n, 60) for n in range(8)}
    write_folder(tmp_path / "cut", frames)
    found = list(shots("cut", read_frames(tmp_path / "cut")))
    assert [shot.numbers for shot in found] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_video_gives_the_folders_drawings(tmp_path: Path) -> None:
    """A compressed film of the same drawings gives the same shot; its noise is not motion."""
    with av.open(str(tmp_path / "cut.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 128, 80, "yuv420p"
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(ball(20 + 6 * (number // 2)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert find_clips(tmp_path) == [tmp_path / "cut.mp4"]
    (shot,) = shots("cut", read_frames(tmp_path / "cut.mp4"))
    assert shot.numbers == [0, 2, 4, 6]
    assert np.abs(shot.frames[2].astype(int) - ball(32)).mean() < 4


def test_a_still_is_no_shot(tmp_path: Path) -> None:
    """One drawing, however long it is held, has nothing to teach."""
    write_folder(tmp_path / "cut", {number: ball(30) for number in range(5)})
    assert list(shots("cut", read_frames(tmp_path / "cut"))) == []

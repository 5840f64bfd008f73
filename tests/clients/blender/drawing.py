"""Strips and planes get their drawings. Run by `tests/clients/service/test_blender.py`."""

import time
from pathlib import Path

import bpy
import pytest
from scene_fixtures import KEYS, Watch, add_plane, add_strip, pixels, texture


class TestStrips:
    def test_time_between_two_strips_is_filled(self, scene: bpy.types.Scene, watch: Watch) -> None:
        """On twos, from the first key to the end of the last; the interface goes on meanwhile."""
        add_strip(scene, KEYS[:1], 101).frame_final_duration = 6
        last = add_strip(scene, KEYS[1:], 112)
        last.frame_final_duration = 4
        start = time.monotonic()
        assert bpy.ops.tooncrafter.draw_between_strips() == {"FINISHED"}
        longest = max(time.monotonic() - start, watch())
        assert longest < (time.monotonic() - start) / 4  # at once, on a machine of any speed
        (new,) = [strip for strip in scene.sequence_editor.strips if strip.select]
        assert (new.frame_final_start, new.frame_final_end, new.channel) == (101, 116, 2)

        def shown(frame: int) -> list[float]:
            return pixels(Path(new.directory) / new.strip_elem_from_frame(frame).filename)

        assert shown(101) == shown(102) == pixels(KEYS[0])
        assert shown(112) == shown(115) == pixels(KEYS[1])
        assert shown(103) == shown(104) != shown(105)
        assert shown(111) not in (shown(109), shown(112))  # a last drawing of one frame

    def test_pictures_of_one_strip_are_spaced(self, scene: bpy.types.Scene, watch: Watch) -> None:
        scene.tooncrafter.between = 3
        scene.tooncrafter.on = 1
        add_strip(scene, [*KEYS, KEYS[0]], 10)
        bpy.ops.tooncrafter.draw_between_strips()
        watch()
        (new,) = [strip for strip in scene.sequence_editor.strips if strip.select]
        assert (new.frame_final_start, len(new.elements)) == (10, 5)

    def test_strips_at_the_same_frame(self, scene: bpy.types.Scene) -> None:
        for key in KEYS:
            add_strip(scene, [key], 5)
        with pytest.raises(RuntimeError, match="start at the same frame"):
            bpy.ops.tooncrafter.draw_between_strips()

    def test_too_much_time(self, scene: bpy.types.Scene) -> None:
        for key, start in zip(KEYS, (1, 200), strict=True):
            add_strip(scene, [key], start)
        with pytest.raises(RuntimeError, match="is time for 99 drawings, but 62 is the most"):
            bpy.ops.tooncrafter.draw_between_strips()


class TestPlanes:
    def test_two_planes_become_one_sequence(self, scene: bpy.types.Scene, watch: Watch) -> None:
        """The active plane shows them from the current frame on."""
        scene.tooncrafter.between = 2
        scene.tooncrafter.on = 2
        scene.tooncrafter.loop = True
        first, last = (add_plane(scene, key) for key in KEYS)
        first.select_set(True)
        scene.frame_set(20)
        bpy.ops.tooncrafter.draw_between_planes()
        watch()
        user = texture(last).image_user
        assert (user.frame_start, user.frame_duration, user.use_cyclic) == (20, 12, True)

        def shown(frame: int) -> list[float]:
            """What Blender shows at a frame of the scene."""
            scene.frame_set(frame)
            evaluated = last.evaluated_get(bpy.context.evaluated_depsgraph_get())
            node = texture(evaluated)
            return pixels(node.image.filepath_from_user(image_user=node.image_user))

        assert shown(20) == shown(21) == pixels(KEYS[0])
        assert shown(26) == pixels(KEYS[1])
        assert shown(22) != shown(24)
        assert shown(32) == shown(20)  # it begins again
        assert texture(first).image.source == "FILE"

    def test_sequence_of_a_plane_gets_more_drawings(
        self, scene: bpy.types.Scene, watch: Watch, tmp_path: Path
    ) -> None:
        """Its files are the keys; it goes on beginning where it began."""
        for number, key in enumerate(KEYS, start=7):
            (tmp_path / f"cel_{number:03d}.png").write_bytes(key.read_bytes())
        plane = add_plane(scene, tmp_path / "cel_007.png")
        image, user = texture(plane).image, texture(plane).image_user
        image.source = "SEQUENCE"
        user.frame_start, user.frame_offset, user.frame_duration = 33, 6, 2
        scene.tooncrafter.between = 1
        bpy.ops.tooncrafter.draw_between_planes()
        watch()
        assert (user.frame_start, user.frame_offset, user.frame_duration) == (33, 0, 6)
        assert Path(texture(plane).image.filepath).name == "00001.png"

    def test_movie_is_refused(self, scene: bpy.types.Scene) -> None:
        texture(add_plane(scene, KEYS[0])).image.source = "MOVIE"
        with pytest.raises(RuntimeError, match="an image file or a sequence but is movie"):
            bpy.ops.tooncrafter.draw_between_planes()

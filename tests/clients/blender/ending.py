"""Runs end otherwise, and what is shown. Run by `tests/clients/service/test_blender.py`."""

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bpy
import pytest
from scene_fixtures import ADDON, KEYS, Watch, add_plane, add_strip


class TestEnds:
    @pytest.fixture
    def long_shot(self, scene: bpy.types.Scene) -> None:
        """A job of more than ten seconds is being drawn."""
        scene.tooncrafter.between = 60
        scene.tooncrafter.on = 1
        add_strip(scene, KEYS, 1)
        bpy.ops.tooncrafter.draw_between_strips()

    def test_cancel(
        self, long_shot: None, scene: bpy.types.Scene, following: ModuleType, watch: Watch
    ) -> None:
        """The service stops drawing, nothing is placed, and that is no error."""
        run = following.runs[0].run
        watch(until=lambda: run.percent > 0)
        assert bpy.ops.tooncrafter.cancel(index=0) == {"FINISHED"}
        watch()
        assert run.is_canceled
        assert len(scene.sequence_editor.strips) == 1
        assert not following.errors

    def test_another_file_is_opened(
        self, long_shot: None, following: ModuleType, watch: Watch
    ) -> None:
        """The job is canceled; its drawings are not put into the new file."""
        run = following.runs[0].run
        watch(until=lambda: run.percent > 0)
        bpy.ops.wm.read_homefile(use_empty=True)
        assert not following.runs
        run._thread.join(timeout=10)
        assert run.is_canceled

    def test_plane_is_deleted_meanwhile(
        self, scene: bpy.types.Scene, following: ModuleType, watch: Watch, tmp_path: Path
    ) -> None:
        """The drawings are kept, and it says where."""
        planes = [add_plane(scene, key) for key in KEYS]
        planes[0].select_set(True)
        bpy.ops.tooncrafter.draw_between_planes()
        bpy.data.objects.remove(planes[1])
        watch()
        (error,) = following.errors
        assert "is gone" in error
        folder = error.split(" are in ")[1]
        assert len(list(Path(folder).glob("*.png"))) == 14

    def test_refusal_is_shown(
        self, scene: bpy.types.Scene, following: ModuleType, watch: Watch, tmp_path: Path
    ) -> None:
        """What the service says of the file, by its place."""
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no picture")
        add_strip(scene, [KEYS[0]], 1)
        add_strip(scene, [broken], 8)
        bpy.ops.tooncrafter.draw_between_strips()
        watch()
        (error,) = following.errors
        assert "/keyframes/1/image" in error

    def test_service_is_away(
        self, scene: bpy.types.Scene, following: ModuleType, watch: Watch, monkeypatch: Any
    ) -> None:
        preferences = importlib.import_module(f"{ADDON}.preferences")
        monkeypatch.setattr(preferences, "PATIENCE_SECONDS", 1)
        bpy.context.preferences.addons[ADDON].preferences.url = "http://127.0.0.1:9"
        add_strip(scene, KEYS, 1)
        bpy.ops.tooncrafter.draw_between_strips()
        watch()
        (error,) = following.errors
        assert "http://127.0.0.1:9" in error

    def test_next_start_forgets_errors(
        self, long_shot: None, following: ModuleType, watch: Watch
    ) -> None:
        assert not following.errors
        following.abandon_runs()


class TestMistakes:
    def test_file_was_never_saved(self, addon: ModuleType) -> None:
        bpy.ops.wm.read_homefile(use_empty=True)
        bpy.context.scene.sequence_editor_create()
        add_strip(bpy.context.scene, KEYS, 1)
        with pytest.raises(RuntimeError, match="save the file first"):
            bpy.ops.tooncrafter.draw_between_strips()

    def test_address_is_none(
        self, scene: bpy.types.Scene, following: ModuleType, watch: Watch
    ) -> None:
        bpy.context.preferences.addons[ADDON].preferences.url = "gpu-host"
        add_strip(scene, KEYS, 1)
        bpy.ops.tooncrafter.draw_between_strips()
        watch()
        assert "has to begin with http(s):// but is gpu-host" in following.errors[0]

    def test_online_access_is_off(self, scene: bpy.types.Scene) -> None:
        system = bpy.context.preferences.system
        add_strip(scene, KEYS, 1)
        system.use_online_access = False
        try:
            with pytest.raises(RuntimeError, match="allow online access first"):
                bpy.ops.tooncrafter.draw_between_strips()
        finally:
            system.use_online_access = True

    def test_one_picture(self, scene: bpy.types.Scene) -> None:
        add_strip(scene, KEYS[:1], 1)
        with pytest.raises(RuntimeError, match="two or more pictures"):
            bpy.ops.tooncrafter.draw_between_strips()


class Layout:
    """Takes what a panel shows; knows which calls Blender's layouts have."""

    def __init__(self, shown: list[str]) -> None:
        self.shown = shown
        self.index = 0

    def prop(self, owner: Any, name: str) -> None:
        assert name in owner.bl_rna.properties
        self.shown.append(name)

    def operator(self, name: str, **_: str) -> "Layout":
        family, _, call = name.partition(".")
        assert call in dir(getattr(bpy.ops, family))
        self.shown.append(name)
        return self

    def row(self, **_: bool) -> "Layout":
        return self

    def box(self) -> "Layout":
        return self

    def progress(self, *, factor: float, text: str) -> None:
        assert 0 <= factor <= 1
        self.shown.append(text)

    def label(self, *, text: str) -> None:
        self.shown.append(text)


def test_panels_show_options_runs_and_errors(
    addon: ModuleType, scene: bpy.types.Scene, following: ModuleType
) -> None:
    """Without a window no panel is drawn, so this calls them with a layout of its own."""
    following.errors.append("a plane is gone; " + "its drawings are in a long folder " * 3)
    run = SimpleNamespace(percent=40, stage="denoising", shot=SimpleNamespace(title="cut 12"))
    following.runs.append(SimpleNamespace(run=run))
    try:
        for panel in (addon.SequencerPanel, addon.PlanesPanel):
            shown: list[str] = []
            panel.draw(SimpleNamespace(layout=Layout(shown), **vars_of(panel)), bpy.context)
            assert shown[-5].startswith("cut 12: denoising") or "cut 12: denoising" in shown
            assert "tooncrafter.cancel" in shown
            assert "a plane is gone; its drawings are in" in " ".join(shown)
    finally:
        following.runs.clear()
        following.errors.clear()


def vars_of(panel: type) -> dict[str, Any]:
    return {"operator": panel.operator, "options": panel.options}


def test_extension_can_be_switched_off_and_on(addon: ModuleType) -> None:
    """Nothing of it is left meanwhile."""
    import addon_utils

    addon_utils.disable(ADDON)
    assert not hasattr(bpy.types.Scene, "tooncrafter")
    assert "draw_between_strips" not in dir(bpy.ops.tooncrafter)
    addon_utils.enable(ADDON)
    assert bpy.context.scene.tooncrafter.on == 2

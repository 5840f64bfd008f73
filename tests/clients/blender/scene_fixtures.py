"""The extension in a Blender without a window, and what the tests beside this do with it.

Blender's Python has no project in it, hence no fixtures of other folders. Without a window no timer
runs, so `watch` calls the registered function as Blender's main loop does.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import pytest

ADDON = "bl_ext.user_default.tooncrafter"
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
KEYS = [EXAMPLES / f"wave_{number}.png" for number in (1, 2)]
Watch = Callable[..., float]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Leave past the destructors of `bpy`, two of which may wait for each other for ever."""

    def leave() -> None:
        sys.stdout.flush()
        os._exit(exitstatus)

    session.config.add_cleanup(leave)


@pytest.fixture(scope="session")
def addon() -> ModuleType:
    """The extension as Blender's own installer puts it there, its wheels included."""
    bpy.context.preferences.system.use_online_access = True
    installed = bpy.ops.extensions.package_install_files(
        repo="user_default", filepath=os.environ["EXTENSION"], enable_on_install=True
    )
    assert installed == {"FINISHED"}
    return sys.modules[ADDON]


@pytest.fixture
def scene(addon: ModuleType, tmp_path: Path) -> bpy.types.Scene:
    """A saved file without objects and strips; shots are small."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.context.preferences.addons[ADDON].preferences.url = ""
    bpy.context.scene.sequence_editor_create()
    return bpy.context.scene


@pytest.fixture
def following(addon: ModuleType) -> ModuleType:
    return importlib.import_module(f"{ADDON}.following")


@pytest.fixture
def watch(following: ModuleType) -> Watch:
    """Look as the timer does, until all runs have ended or a condition holds.

    Returns the longest time in seconds for which the interface stood still.
    """

    def watch(until: Callable[[], bool] = lambda: False) -> float:
        assert bpy.app.timers.is_registered(following.look)
        longest, deadline = 0.0, time.monotonic() + 60
        while not until() and time.monotonic() < deadline:
            start = time.monotonic()
            next_look = following.look()
            longest = max(longest, time.monotonic() - start)
            if next_look is None:
                return longest
            time.sleep(0.05)
        assert until(), "not ended after a minute"
        return longest

    return watch


def add_strip(scene: bpy.types.Scene, files: list[Path], start: int) -> bpy.types.ImageStrip:
    strip = scene.sequence_editor.strips.new_image(files[0].stem, str(files[0]), 1, start)
    for file in files[1:]:
        strip.elements.append(file.name)
    strip.select = True
    return strip


def add_plane(scene: bpy.types.Scene, file: Path) -> bpy.types.Object:
    """Import a picture as Blender's menu does."""
    bpy.ops.image.import_as_mesh_planes(
        directory=str(file.parent), files=[{"name": file.name}], use_auto_refresh=True
    )
    return bpy.context.active_object


def texture(plane: bpy.types.Object) -> bpy.types.ShaderNodeTexImage:
    nodes = plane.active_material.node_tree.nodes
    return next(node for node in nodes if node.type == "TEX_IMAGE")


def pixels(file: str | Path) -> list[float]:
    image = bpy.data.images.load(str(file))
    values = list(image.pixels)
    bpy.data.images.remove(image)
    return values

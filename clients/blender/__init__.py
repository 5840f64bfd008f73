"""Blender extension: in-betweens for image sequences on planes and in the video sequencer."""

from __future__ import annotations

import bpy

from . import following
from .operators import CancelRun, DrawBetweenPlanes, DrawBetweenStrips
from .panels import PlanesPanel, SequencerPanel
from .preferences import Preferences
from .settings import Settings

CLASSES: tuple[type, ...] = (
    Preferences,
    Settings,
    DrawBetweenStrips,
    DrawBetweenPlanes,
    CancelRun,
    SequencerPanel,
    PlanesPanel,
)


def register() -> None:
    """Make the classes known; settings belong to each scene."""
    for one in CLASSES:
        bpy.utils.register_class(one)
    settings = bpy.props.PointerProperty(type=Settings)  # type: ignore[func-returns-value]
    bpy.types.Scene.tooncrafter = settings  # type: ignore[attr-defined]
    bpy.app.handlers.load_pre.append(following.abandon_runs)


def unregister() -> None:
    """Undo `register`; jobs that run are canceled."""
    following.abandon_runs()
    bpy.app.handlers.load_pre.remove(following.abandon_runs)
    del bpy.types.Scene.tooncrafter  # type: ignore[attr-defined]
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)

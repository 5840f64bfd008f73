"""Panels in the sidebars of the video sequencer and the 3D view."""

from __future__ import annotations

import textwrap
from typing import ClassVar

import bpy

from .following import errors, runs
from .operators import CancelRun, DrawBetweenPlanes, DrawBetweenStrips
from .settings import settings_of

LINE = 44  # characters that a sidebar of the usual width shows


class ShotPanel:
    """Options, the button, and what is being drawn."""

    bl_label = "In-betweens"
    bl_category = "ToonCrafter"
    operator = ""
    options: ClassVar[tuple[str, ...]] = ()
    layout: bpy.types.UILayout

    def draw(self, context: bpy.types.Context) -> None:
        """Show them."""
        settings = settings_of(context)
        self.layout.use_property_split = True
        for option in self.options:
            self.layout.prop(settings, option)
        self.layout.operator(self.operator)
        for index, followed in enumerate(runs):
            run = followed.run
            row = self.layout.row(align=True)
            row.progress(factor=run.percent / 100, text=f"{run.shot.title}: {run.stage}")
            row.operator(CancelRun.bl_idname, text="", icon="X").index = index
        for error in errors:
            _show_error(self.layout, error)


class SequencerPanel(ShotPanel, bpy.types.Panel):
    """In-betweens of strips."""

    bl_idname = "SEQUENCER_PT_tooncrafter"
    bl_region_type = "UI"
    bl_space_type = "SEQUENCE_EDITOR"
    operator = DrawBetweenStrips.bl_idname
    options = ("on", "between", "spacing", "prompt", "seed", "quality", "folder")


class PlanesPanel(ShotPanel, bpy.types.Panel):
    """In-betweens of planes."""

    bl_idname = "VIEW3D_PT_tooncrafter"
    bl_region_type = "UI"
    bl_space_type = "VIEW_3D"
    operator = DrawBetweenPlanes.bl_idname
    options = ("between", "on", "loop", "spacing", "prompt", "seed", "quality", "folder")


def _show_error(layout: bpy.types.UILayout, error: str) -> None:
    box = layout.box()
    box.alert = True
    for line in textwrap.wrap(error, LINE):
        box.label(text=line)

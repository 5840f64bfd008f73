"""What the buttons do. Each operator starts a thread and returns at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import bpy

from tooncrafter_client import BadInput, Keyframe, ShotOptions

from . import planes, strips
from .following import CannotPlace, Place, follow, runs
from .preferences import connector
from .runs import Run, Shot
from .settings import Settings, settings_of, shot_options

Answer = set[Literal["RUNNING_MODAL", "CANCELLED", "FINISHED", "PASS_THROUGH", "INTERFACE"]]


class DrawBetween(bpy.types.Operator):
    """Base of the operators that start a run."""

    def execute(self, context: bpy.types.Context) -> Answer:
        """Start a run; what cannot be drawn is reported at once."""
        try:
            if not bpy.app.online_access:
                raise BadInput("allow online access first: Preferences, System, Network")
            shot, place = self.prepare(context)
            follow(Run(connector(context), shot), place)
        except BadInput as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def prepare(self, context: bpy.types.Context) -> tuple[Shot, Place]:
        """Return what is drawn, and what is done with its files.

        Raises:
            BadInput: the selection cannot be drawn.
        """
        raise NotImplementedError


class DrawBetweenStrips(DrawBetween):
    """Draw what lies between the selected image strips, into a new strip above them."""

    bl_idname = "tooncrafter.draw_between_strips"
    bl_label = "Draw In-betweens"
    bl_options = {"REGISTER"}  # noqa: RUF012  # Blender wants a set

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Ask for a selected image strip."""
        return bool(strips.selected_strips(context))

    def prepare(self, context: bpy.types.Context) -> tuple[Shot, Place]:
        """Take the strips' places as timing, or space the pictures of a single strip evenly."""
        settings = settings_of(context)
        selected = strips.selected_strips(context)
        options = shot_options(settings)
        start = selected[0].frame_final_start
        if len(selected) > 1:
            timed = strips.keys_in_time(selected, settings.on)
            keys, options["on"] = timed.keys, timed.exposure
        else:
            keys = [Keyframe(path) for path in strips.pictures_of(selected[0])]
            options["between"] = settings.between
            options["on"] = settings.on
        shot = _shot(selected[0].name, keys, options, settings)
        scene_name = context.scene.name

        def place(files: list[Path]) -> None:
            scene = bpy.data.scenes.get(scene_name)
            if scene is None:
                raise CannotPlace(f"the scene {scene_name} is gone")
            strips.add_strip(scene, f"{shot.title} in-betweens", files, start)

        return shot, place


class DrawBetweenPlanes(DrawBetween):
    """Draw what lies between the pictures of the selected planes; the active plane shows it."""

    bl_idname = "tooncrafter.draw_between_planes"
    bl_label = "Draw In-betweens"
    bl_options = {"REGISTER"}  # noqa: RUF012  # Blender wants a set

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Ask for a selected object that shows an image."""
        return bool(planes.selected_planes(context))

    def prepare(self, context: bpy.types.Context) -> tuple[Shot, Place]:
        """Take all pictures of the planes, in order of the planes' names, as keys."""
        settings = settings_of(context)
        selected = planes.selected_planes(context)
        active = context.active_object
        plane = active if active in selected else selected[0]
        keys = [Keyframe(path) for one in selected for path in planes.pictures_of(one)]
        options = shot_options(settings)
        options |= {"between": settings.between, "on": settings.on, "loop": settings.loop}
        shot = _shot(plane.name, keys, options, settings)
        start = planes.first_frame(plane, context.scene.frame_current)
        loop = settings.loop

        def place(files: list[Path]) -> None:
            found = bpy.data.objects.get(shot.title)
            if found is None or planes.texture_of(found) is None:
                raise CannotPlace(f"the plane {shot.title} is gone, or shows no image any more")
            planes.show_sequence(found, files, start, loop=loop)

        return shot, place


class CancelRun(bpy.types.Operator):
    """Cancel a job that is being drawn."""

    bl_idname = "tooncrafter.cancel"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}  # noqa: RUF012  # Blender wants a set

    if TYPE_CHECKING:
        index: int
    else:
        index: bpy.props.IntProperty(description="Which run, counted from 0")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Ask for a run."""
        return bool(runs)

    def execute(self, context: bpy.types.Context) -> Answer:
        """Ask the thread to cancel; it is gone within about a second."""
        if self.index >= len(runs):
            return {"CANCELLED"}
        runs[self.index].run.cancel()
        return {"FINISHED"}


def _shot(title: str, keys: list[Keyframe], options: ShotOptions, settings: Settings) -> Shot:
    """Return a shot with a folder of its own.

    Raises:
        BadInput: there are too few keys, or no place for a folder yet.
    """
    if len(keys) < 2:
        raise BadInput(f"{title}: select two or more pictures, but there is {len(keys)}")
    if settings.folder.startswith("//") and not bpy.data.filepath:
        raise BadInput("save the file first, since Folder is beside it, or choose another folder")
    parent = Path(bpy.path.abspath(settings.folder))
    name = bpy.path.clean_name(title)
    number = 1
    while (folder := parent / f"{name}_{number:03d}").exists():
        number += 1
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror or error}") from error
    return Shot(title, keys, options, folder)

"""Runs of this Blender: what is still drawn, and what happens once it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from .runs import Run

LOOK_SECONDS = 0.2  # between two looks at the threads
AREAS = {"SEQUENCE_EDITOR", "VIEW_3D"}  # have a panel of ours

Place = Callable[[list[Path]], None]


class CannotPlace(Exception):
    """The strip or object that asked for the drawings is gone; the text names it."""


@dataclass(frozen=True)
class Followed:
    """A run, and what puts its files into the scene."""

    run: Run
    place: Place


runs: list[Followed] = []
errors: list[str] = []  # of runs since the last start; the panels show them


def follow(run: Run, place: Place) -> None:
    """Look at a run until it has ended, then place its files.

    Args:
        run: whose thread draws.
        place: called with the files, by Blender's main thread; may raise `CannotPlace`.
    """
    errors.clear()
    runs.append(Followed(run, place))
    if not bpy.app.timers.is_registered(look):
        bpy.app.timers.register(look, first_interval=LOOK_SECONDS)


def look() -> float | None:
    """Finish runs that have ended; a timer calls it. Return when to look again, None: never."""
    for followed in [one for one in runs if one.run.has_ended]:
        runs.remove(followed)
        _finish(followed)
    _redraw()
    return LOOK_SECONDS if runs else None


@bpy.app.handlers.persistent  # type: ignore[untyped-decorator]
def abandon_runs(*_: object) -> None:
    """Cancel all runs and place nothing: another file is being opened."""
    for followed in runs:
        followed.run.cancel()
    runs.clear()
    errors.clear()


def _finish(followed: Followed) -> None:
    run = followed.run
    if run.files:
        try:
            followed.place(run.files)
        except CannotPlace as error:
            _tell(f"{error}; the drawings are in {run.shot.folder}")
        else:
            bpy.ops.ed.undo_push(message=f"ToonCrafter: {run.shot.title}")
    elif not run.is_canceled:
        _tell(f"{run.shot.title}: {run.error}")


def _tell(error: str) -> None:
    """Show an error in the panels and, where there is a window, in a message box."""
    errors.append(error)

    def draw(menu: bpy.types.UIPopupMenu, _: bpy.types.Context) -> None:
        for line in error.splitlines():
            menu.layout.label(text=line)

    if not bpy.app.background:
        manager = bpy.context.window_manager
        manager.popup_menu(draw, title="ToonCrafter", icon="ERROR")


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in AREAS:
                area.tag_redraw()

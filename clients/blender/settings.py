"""What a person chooses for the next shot; saved with the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from tooncrafter_client import ShotOptions

AUTOMATIC = -1  # properties of Blender hold no None
SERVICE = "SERVICE"  # the service's own default

SPACINGS = [
    ("even", "Even", "Equal steps"),
    ("ease_in", "Ease in", "Small steps at the start"),
    ("ease_out", "Ease out", "Small steps at the end"),
    ("ease_in_out", "Ease in and out", "Small steps at both ends"),
]
QUALITIES = [
    (SERVICE, "Automatic", "What the service has"),
    ("final", "Final", "The published sampling"),
    ("draft", "Draft", "Fewer steps"),
    ("preview", "Preview", "The small engine, in seconds"),
]


class Settings(bpy.types.PropertyGroup):
    """Options of a shot."""

    if TYPE_CHECKING:
        between: int
        on: int
        spacing: str
        prompt: str
        seed: int
        quality: str
        loop: bool
        folder: str
    else:
        between: bpy.props.IntProperty(
            name="Between",
            description="Drawings between two keys, where no places in time say it",
            default=5,
            min=0,
            max=62,
        )
        on: bpy.props.IntProperty(
            name="On",
            description="Frames for which each drawing is shown: 2 is 'on twos'",
            default=2,
            min=1,
            max=4,
        )
        spacing: bpy.props.EnumProperty(name="Spacing", items=SPACINGS)
        prompt: bpy.props.StringProperty(name="Prompt", description="What happens in the shot")
        seed: bpy.props.IntProperty(
            name="Seed",
            description="The same seed draws the same pictures; -1: another one each time",
            default=AUTOMATIC,
            min=AUTOMATIC,
        )
        quality: bpy.props.EnumProperty(name="Quality", items=QUALITIES)
        loop: bpy.props.BoolProperty(
            name="Loop", description="Draw from the last key back to the first as well"
        )
        folder: bpy.props.StringProperty(
            name="Folder",
            description="Each shot gets a folder of its own in it",
            default="//tooncrafter/",
            subtype="DIR_PATH",
        )


def settings_of(context: bpy.types.Context) -> Settings:
    """Return the settings of the current scene."""
    return context.scene.tooncrafter  # type: ignore[no-any-return]


def shot_options(settings: Settings) -> ShotOptions:
    """Return the options that each kind of shot has, one file for each film frame."""
    options: ShotOptions = {
        "spacing": settings.spacing,  # type: ignore[typeddict-item]  # one of SPACINGS
        "prompt": settings.prompt,
        "output_size": "source",
        "outputs": [{"format": "png", "name": "{frame:05d}.png", "each": "film_frame"}],
    }
    if settings.seed != AUTOMATIC:
        options["seed"] = settings.seed
    if settings.quality != SERVICE:
        options["quality"] = settings.quality  # type: ignore[typeddict-item]  # one of QUALITIES
    return options

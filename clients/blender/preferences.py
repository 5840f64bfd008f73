"""Where the service is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import bpy

from tooncrafter_client import Client

from .runs import Connect

PATIENCE_SECONDS = 15  # a person waits for the answer


class Preferences(bpy.types.AddonPreferences):
    """Address and API key, in Blender's preferences."""

    bl_idname = __package__ or ""

    if TYPE_CHECKING:
        url: str
        key: str
    else:
        url: bpy.props.StringProperty(
            name="Address",
            description="Of the service. Left empty: TOONCRAFTER_URL, else this computer",
        )
        key: bpy.props.StringProperty(
            name="API key",
            description="Left empty: TOONCRAFTER_KEY, else none is sent",
            subtype="PASSWORD",
        )

    def draw(self, context: bpy.types.Context) -> None:
        """Show both."""
        self.layout.prop(self, "url", placeholder="http://127.0.0.1:8000")
        self.layout.prop(self, "key")


def connector(context: bpy.types.Context) -> Connect:
    """Return what makes a client of the service in the preferences.

    It is called in a thread, since the first one reads certificates for a while.
    """
    given = context.preferences.addons[__package__ or ""].preferences
    url, key = getattr(given, "url", ""), getattr(given, "key", "")
    return partial(Client, url or None, key or None, patience_seconds=PATIENCE_SECONDS)

"""Planes with an image texture: their pictures, and the sequence that replaces them."""

from __future__ import annotations

import re
from pathlib import Path

import bpy

from tooncrafter_client import BadInput

LAST_NUMBER = re.compile(r"(\d+)(?=\D*$)")


def selected_planes(context: bpy.types.Context) -> list[bpy.types.Object]:
    """Return the selected objects that show an image, in natural order of their names."""
    planes = [one for one in context.selected_objects if texture_of(one)]
    return sorted(planes, key=lambda one: _natural(one.name))


def texture_of(plane: bpy.types.Object) -> bpy.types.ShaderNodeTexImage | None:
    """Return the node that shows the image of an object's active material."""
    material = plane.active_material
    if not material or not material.node_tree:
        return None
    nodes = [
        node
        for node in material.node_tree.nodes
        if isinstance(node, bpy.types.ShaderNodeTexImage) and node.image
    ]
    return next((node for node in nodes if node.select), nodes[0] if nodes else None)


def pictures_of(plane: bpy.types.Object) -> list[Path]:
    """Return the files that an object shows: one, or those of its image sequence.

    Raises:
        BadInput: it shows something that is no file of its own, such as a movie.
    """
    node = texture_of(plane)
    if node is None or node.image is None:
        raise BadInput(f"{plane.name} shows no image")
    image, user = node.image, node.image_user
    if image.source not in ("FILE", "SEQUENCE") or image.packed_file:
        kind = "packed" if image.packed_file else image.source.lower()
        raise BadInput(f"{image.name} has to be an image file or a sequence but is {kind}")
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    if image.source == "FILE":
        return [path]
    numbers = range(user.frame_offset + 1, user.frame_offset + user.frame_duration + 1)
    return [_numbered(path, number) for number in numbers]


def first_frame(plane: bpy.types.Object, current: int) -> int:
    """Return the frame at which a plane's sequence begins: its own, else the current one."""
    node = texture_of(plane)
    if node and node.image and node.image.source == "SEQUENCE":
        return node.image_user.frame_start
    return current


def show_sequence(plane: bpy.types.Object, files: list[Path], start: int, *, loop: bool) -> None:
    """Let a plane show files that are numbered from 1, one a frame.

    Args:
        plane: whose image texture gets them.
        files: in order; the name of the first has the number 1.
        start: frame of the scene that shows the first.
        loop: begin again after the last.
    """
    node = texture_of(plane)
    if node is None:
        raise BadInput(f"{plane.name} shows no image")
    image = bpy.data.images.load(str(files[0]))
    image.source = "SEQUENCE"
    image.name = f"{plane.name} in-betweens"
    node.image = image
    user = node.image_user
    user.frame_start = start
    user.frame_duration = len(files)
    user.frame_offset = 0
    user.use_cyclic = loop
    user.use_auto_refresh = True


def _numbered(path: Path, number: int) -> Path:
    """Return the file of a sequence with another number, padded as this one's is."""

    def padded(found: re.Match[str]) -> str:
        return f"{number:0{len(found[1])}d}"

    return path.with_name(LAST_NUMBER.sub(padded, path.stem) + path.suffix)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which `plane 2` comes before `plane 10`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]

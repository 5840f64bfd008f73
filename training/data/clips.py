"""Seeded clips: a cast on a scene, drawn at any progress, with the truth about its motion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.data.characters import beast, bird, person
from training.data.colours import EXAMPLE_STYLE, Style, random_style
from training.data.drawing import Drawing, Picture, Piece, paint, paint_lines, paint_matte
from training.data.held_out import fish, robot
from training.data.kitten import kitten
from training.data.motion import Manner
from training.data.props import Actor, butterfly, cart, shape, worm
from training.data.scenes import Camera, Layer, landscape, random_camera, random_scene
from training.data.truth import Truth, identities, motion

MakeActor = Callable[[np.random.Generator, Style, Manner], Actor]

PROPS: tuple[MakeActor, ...] = (shape, shape, shape, worm, butterfly, cart, bird)
CHARACTERS: tuple[MakeActor, ...] = (kitten, kitten, person, beast)
HELD_OUT: tuple[MakeActor, ...] = (fish, robot)  # never seen in training


@dataclass(frozen=True)
class World:
    """What is drawn, and how it moves.

    Attributes:
        manner: reach, easing and arcs.
        characters: share of clips with a character; others have props only.
        camera: share of clips whose camera moves.
        boil: share of clips whose lines are redrawn with a tremble for each frame.
        comes_and_goes: share of actors that appear or vanish on the way.
        cast: "all", "held-out" (the one that training never shows), or "kitten": the example
            drawings' kitten and a butterfly on a meadow, a narrow world for small networks.
        crowd: how many props more than usual there may be.
        closest: the scale is drawn from [1, closest], relative to the whole stage.
    """

    manner: Manner = field(default_factory=Manner)
    characters: float = 0.6
    camera: float = 0.3
    boil: float = 0.1
    comes_and_goes: float = 0.02
    cast: str = "all"
    crowd: int = 0
    closest: float = 1.0


@dataclass
class Clip:
    """One seeded clip of two keys and everything between.

    Attributes:
        height, width: of its drawings, in pixels.
        tremble: standard deviation of the boil, in pixels.
        seed: of the boil.
    """

    height: int
    width: int
    camera: Camera
    layers: list[Layer]
    cast: list[tuple[Actor, float, float]]  # with the progress at which each appears and vanishes
    tremble: float
    seed: int

    def pieces(self, progress: float) -> list[Piece]:
        """Record the drawing at a progress in [0, 1]."""
        drawing = Drawing(self.camera.view(progress, 1.0), is_actor=False)
        for depth, painter in self.layers:
            drawing.view = self.camera.view(progress, depth)
            painter(drawing)
        drawing.view = self.camera.view(progress, 1.0)
        drawing.is_actor = True
        for actor, appears, vanishes in self.cast:
            start = len(drawing.pieces)
            actor(drawing, progress)
            if not appears <= progress <= vanishes:
                for piece in drawing.pieces[
                    start:
                ]:  # kept, so that the lists match, but out of view
                    piece.points = piece.points - 1e4
        return drawing.pieces

    def picture(self, progress: float) -> Picture:
        """Paint in colour: uint8 `(height, width, 3)`."""
        return self.paint(self.pieces(progress), progress)

    def paint(self, pieces: Sequence[Piece], progress: float) -> Picture:
        """Paint recorded pieces; boiling lines tremble in a way of their own at each progress."""
        if self.tremble == 0:
            return paint(pieces, self.height, self.width)
        rng = np.random.default_rng([self.seed, round(progress * 1e6)])
        boil = [
            rng.normal(0, self.tremble if piece.texture is None else 0, piece.points.shape)
            for piece in pieces
        ]
        return paint(pieces, self.height, self.width, boil)

    def lines(self, progress: float) -> Picture:
        """Paint line art, dark on white: uint8 `(height, width, 3)`."""
        return paint_lines(self.pieces(progress), self.height, self.width)

    def matte(self, progress: float) -> Picture:
        """Paint what the actors cover: uint8 `(height, width)`."""
        return paint_matte(self.pieces(progress), self.height, self.width)

    def frames(self, count: int = 16) -> Picture:
        """Paint evenly spaced drawings with both keys: uint8 `(count, height, width, 3)`."""
        return np.stack([self.picture(index / (count - 1)) for index in range(count)])


@dataclass
class Sample:
    """Two keys, a drawing between them, and the truth.

    Attributes:
        first, last, middle: uint8 `(height, width, 3)`.
        position: of the middle drawing, in (0, 1).
        to_first, to_last: where each of the middle drawing's pixels is in the keys.
    """

    first: Picture
    last: Picture
    middle: Picture
    position: float
    to_first: Truth
    to_last: Truth


def random_clip(
    rng: np.random.Generator, height: int, width: int, world: World | None = None
) -> Clip:
    """Draw a clip of any size; its stage of 512x320 units covers the picture."""
    world = world or World()
    style = EXAMPLE_STYLE if world.cast == "kitten" else random_style(rng)
    scale = max(width / 512, height / 320) * rng.uniform(1, world.closest)
    camera = random_camera(rng, world.manner, height, width, scale, world.camera)
    makers = _choose_makers(rng, world)
    layers = landscape(rng, style) if world.cast == "kitten" else random_scene(rng, style)
    if world.cast != "kitten" and rng.random() < 0.3:
        stays = shape(rng, style, world.manner, still=True)
        layers.append((1.0, lambda drawing: stays(drawing, 0.0)))
    cast = []
    for make in makers:
        appears, vanishes = 0.0, 1.0
        if rng.random() < world.comes_and_goes:
            appears, vanishes = (0.5, 1.0) if rng.random() < 0.5 else (0.0, 0.5)
        cast.append((make(rng, style, world.manner), appears, vanishes))
    tremble = rng.uniform(0.2, 0.6) if rng.random() < world.boil else 0.0
    seed = int(rng.integers(2**31))
    return Clip(height, width, camera, layers, cast, tremble, seed)


def _choose_makers(rng: np.random.Generator, world: World) -> list[MakeActor]:
    if world.cast == "kitten":
        return [kitten, butterfly] if rng.random() < 0.6 else [kitten]
    if world.cast == "held-out":
        return _chosen(rng, HELD_OUT, int(rng.integers(1, 4)))
    if rng.random() < world.characters:
        characters = _chosen(rng, CHARACTERS, 1 + int(rng.random() < 0.25))
        return characters + _chosen(rng, PROPS, int(rng.integers(0, 3 + world.crowd)))
    return _chosen(rng, PROPS, int(rng.integers(1, 5 + world.crowd)))


def _chosen(rng: np.random.Generator, cast: Sequence[MakeActor], count: int) -> list[MakeActor]:
    return [cast[index] for index in rng.integers(0, len(cast), count)]


def sample(clip: Clip, position: float) -> Sample:
    """Paint a clip's keys and the drawing at `position`, with its true motion to both."""
    first, middle, last = (clip.pieces(progress) for progress in (0.0, position, 1.0))
    labels = [identities(pieces, clip.height, clip.width) for pieces in (first, middle, last)]
    return Sample(
        clip.paint(first, 0.0),
        clip.paint(last, 1.0),
        clip.paint(middle, position),
        position,
        motion(middle, first, labels[1], labels[0]),
        motion(middle, last, labels[1], labels[2]),
    )


def to_float(picture: Picture) -> NDArray[np.float32]:
    """Convert uint8 `(..., height, width, 3)` to float32 `(..., 3, height, width)` in [-1, 1]."""
    return np.moveaxis(picture, -1, -3).astype(np.float32) / 127.5 - 1

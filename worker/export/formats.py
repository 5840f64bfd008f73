"""Every output format by name: the one place to register another, beside its own file."""

from collections.abc import Callable

from worker.export.film import Check, Export, Film
from worker.export.mp4 import export_mp4

EXPORTERS: dict[str, Callable[[Film, Check], Export]] = {"mp4": export_mp4}

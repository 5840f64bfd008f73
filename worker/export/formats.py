"""Map the name of each output format to its exporter.

A new format also needs a module in this folder, its name in `FileFormat` (core/records/request.py)
and its words in the public description of `format` (api/schemas/outputs.py).
"""

from collections.abc import Callable

from worker.export.film import Check, Export, Film
from worker.export.mp4 import export_mp4

EXPORTERS: dict[str, Callable[[Film, Check], Export]] = {"mp4": export_mp4}

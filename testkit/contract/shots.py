"""Make the fields of a generated shot fit together, which no schema can ask for."""

from typing import Any

FRAMES_BETWEEN = 14  # where a request names none


def fit_together(fields: dict[str, Any]) -> None:
    """Change numbers and lengths of lists; which fields there are, and their kinds, stay."""
    for name in ("model", "quality"):  # what a deployment can do is no matter of form
        if name in fields:
            fields[name] = None
    between = fields.get("frames_between")
    between = FRAMES_BETWEEN if between is None else int(between)
    # the tool repeats one object in a list
    keys = [{**key} for key in fields.get("keyframes", [{}, {}])]
    if "keyframes" in fields:
        fields["keyframes"] = keys
    _place(keys, between, is_loop=bool(fields.get("loop")))
    _space(fields, between)
    drawings = (len(keys) - 1) * (between + 1) + 1 + (between if fields.get("loop") else 0)
    if isinstance(fields.get("exposure"), list):
        fields["exposure"] = [1] * drawings
        for key in keys:
            key.pop("hold", None)
    if fields.get("sketches"):
        fields["sketches"] = [{**sketch} for sketch in fields["sketches"][:drawings]]
        for number, sketch in enumerate(fields["sketches"]):
            sketch["frame"] = number
    if fields.get("outputs"):
        fields["outputs"] = _each_format_once(fields["outputs"])


def _place(keys: list[dict[str, Any]], between: int, *, is_loop: bool) -> None:
    for number, key in enumerate(keys):
        if key.get("frame") is not None:
            key["frame"] = number * (between + 1)
        _space(key, between)
    if not is_loop:
        keys[-1].pop("spacing", None)
        keys[-1].pop("prompt", None)


def _space(holder: dict[str, Any], count: int) -> None:
    if isinstance(holder.get("spacing"), list):
        holder["spacing"] = [number / (count + 1) for number in range(1, count + 1)]


def _each_format_once(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop repeated formats, options of `png` elsewhere, and names that no schema can describe."""
    found: dict[str, dict[str, Any]] = {}
    for output in outputs:
        for name in ("name", "shot", "layer"):
            output.pop(name, None)
        file_format = output.get("format") or "mp4"
        if file_format != "png":
            for name in ("start", "bits", "each"):
                output.pop(name, None)
        found.setdefault(file_format, output)
    return [*found.values()]

"""The table and the plot of `make bench-gpu`."""

from html import escape
from typing import Any

STAGES = {"encoding": "#8fb4d8", "denoising": "#2f6fab", "decoding": "#e0a458"}  # and their colours
BAR_HEIGHT, LABEL_WIDTH, BARS_WIDTH = 28, 260, 520  # pixels


def table(found: dict[str, Any]) -> str:
    """Write a line for each variant, and below what was not measured."""
    machine, asked = found["machine"], found["asked"]
    head = (
        f"{machine['date']}, {machine['device']}, torch {machine['torch']}: {asked['preset']}, "
        f"{asked['width']}x{asked['height']}, {asked['steps']} steps."
    )
    columns = (
        "variant",
        *STAGES,
        "all, s",
        "step, ms",
        "first clip, s",
        "of matmul rate",
        "peak, GiB",
        "PSNR to fp32, dB",
    )
    lines = [head, "", _row(*columns), _row(*["---"] * len(columns))]
    notes = ["Stages in seconds; PSNR to float32 with the same noise."]
    for name, result in found["results"].items():
        if "step_seconds" in result:
            taken = result["seconds"]
            distance = result.get("psnr_db")
            lines.append(
                _row(
                    name,
                    *(f"{taken[stage]:.2f}" for stage in STAGES),
                    f"{taken['all']:.2f}",
                    f"{result['step_seconds'] * 1e3:.1f}",
                    f"{result['first_clip_seconds']:.1f}",
                    f"{result['share_of_matmul_rate']:.0%}",
                    f"{result['peak_gib']:.2f}",
                    "" if distance is None else f"{distance:.1f}",
                )
            )
        elif reason := result.get("skipped") or result.get("failed"):
            notes.append(f"Not measured: {name} ({reason}).")
    cold = found["results"].get("cold start", {})
    if "matmul_tflops" in cold:
        rates = ", ".join(f"{name} {rate:.1f}" for name, rate in cold["matmul_tflops"].items())
        notes.append(f"Cold start {cold['seconds']:.1f} s. Matrix products, TFLOP/s: {rates}.")
    goldens = found["results"].get("fp32 goldens", {})
    if shares := goldens.get("shares_of_tolerance"):
        worst = max(shares, key=lambda name: shares[name])
        notes.append(
            f"Goldens: {len(shares)}, the worst {worst} at {shares[worst]:.2f} of its limit."
        )
    for name, reason in goldens.get("broken_cases", {}).items():
        notes.append(f"Not measured: golden {name} ({reason}).")
    profile = found["results"].get("fp16, profile", {})
    for kernel, seconds in profile.get("kernel_seconds", {}).items():
        notes.append(f"- {seconds:.3f} s `{kernel}`")
    if profile.get("idle_share") is not None:
        notes.append(f"No kernel ran in {profile['idle_share']:.1%} of the profiled clip.")
    backlog = found["results"].get("ten queued jobs", {})
    if "idle_share" in backlog:
        share = f"{backlog['idle_share']:.2%}"
        notes.append(f"The device drew nothing in {share} of the time of ten queued jobs.")
    return "\n".join([*lines, "", *notes, ""])


def plot(found: dict[str, Any]) -> str:
    """Draw each variant's stages as one bar, an SVG."""
    variants = {
        name: result["seconds"]
        for name, result in found["results"].items()
        if "step_seconds" in result
    }
    longest = max((taken["all"] for taken in variants.values()), default=1.0)
    height = BAR_HEIGHT * (len(variants) + 1)
    shapes = []
    for index, (name, taken) in enumerate(variants.items()):
        top = index * BAR_HEIGHT
        shapes.append(_text(8, top, name))
        left = float(LABEL_WIDTH)
        for stage, colour in STAGES.items():
            width = taken[stage] / longest * BARS_WIDTH
            shapes.append(
                f'<rect x="{left:.1f}" y="{top + 4}" width="{width:.1f}" '
                f'height="{BAR_HEIGHT - 8}" fill="{colour}"/>'
            )
            left += width
        shapes.append(_text(left + 6, top, f"{taken['all']:.2f} s"))
    for index, (stage, colour) in enumerate(STAGES.items()):
        left, top = LABEL_WIDTH + index * 130, height - BAR_HEIGHT
        shapes.append(f'<rect x="{left}" y="{top + 8}" width="12" height="12" fill="{colour}"/>')
        shapes.append(_text(left + 18, top, stage))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL_WIDTH + BARS_WIDTH + 90}" '
        f'height="{height}" font-family="sans-serif" font-size="13">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(shapes)}</svg>\n'
    )


def _text(left: float, top: float, words: str) -> str:
    return f'<text x="{left:.1f}" y="{top + 19}">{escape(words)}</text>'


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"

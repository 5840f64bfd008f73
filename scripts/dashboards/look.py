"""`make dashboards-look`: draw the dashboards without a Grafana, from the same files and with a
real Prometheus.

Without further words, of a stack of its own, which does ten jobs and suffers a fault. With
`--prometheus URL`, of a service that runs.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from scripts.dashboards.answers import DataSource, Span
from scripts.dashboards.pictures import draw, excerpt, pages
from scripts.dashboards.stories import STORIES
from testkit.monitoring.prometheus import SCRAPE_SECONDS
from testkit.monitoring.scene import open_scene

ROOT = Path(__file__).resolve().parents[2]
JOBS_BEFORE = 10
POINTS = 300  # of a curve: Grafana asks for about as many as a panel has pixels


def main() -> None:
    """Draw, and say where the pictures lie.

    Raises:
        SystemExit: a program is missing, or Prometheus does not answer.
    """
    parser = argparse.ArgumentParser(prog="make dashboards-look", description=__doc__)
    parser.add_argument(
        "--prometheus", metavar="URL", help="of a service that runs, instead of a stack of its own"
    )
    parser.add_argument("--minutes", type=float, default=60, help="how far to look back there (60)")
    parser.add_argument(
        "--fault",
        choices=sorted(STORIES),
        default="lost-worker",
        help="what happens to the own stack",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "out" / "dashboards", help="folder for the pictures"
    )
    asked = parser.parse_args()
    try:
        if asked.prometheus:
            end = time.time()
            source = DataSource(
                asked.prometheus, span(end - 60 * asked.minutes, end), scrape_seconds=10
            )
            drawn = draw(pages(), source, asked.out)
        else:
            drawn = asyncio.run(act(asked.fault, asked.out))
    except (OSError, RuntimeError) as error:
        sys.exit(f"dashboards-look: {error}")
    print("\n".join(f"dashboards-look: {path}" for path in drawn))


async def act(fault: str, out: Path) -> list[Path]:
    """Let the story happen, and draw what it looks like."""
    if not shutil.which("prometheus"):
        raise RuntimeError("no Prometheus: apt-get install prometheus")
    story = STORIES[fault]
    with tempfile.TemporaryDirectory(prefix="tc-") as folder:
        async with open_scene(Path(folder)) as scene:
            await scene.do_jobs(JOBS_BEFORE)
            await story.happens(scene, story.jobs)
            await asyncio.sleep(2 * SCRAPE_SECONDS)
            source = DataSource(
                scene.prometheus.url, span(scene.begun, time.time()), SCRAPE_SECONDS
            )
            shown = pages() | {fault: excerpt(story.title, story.panels)}
            return await asyncio.to_thread(draw, shown, source, out)


def span(begin: float, end: float) -> Span:
    """Points as Prometheus likes them, on whole steps."""
    step = max(1.0, float(round((end - begin) / POINTS)))
    return Span(begin // step * step, end // step * step, step)


if __name__ == "__main__":
    main()

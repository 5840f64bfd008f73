"""How soon a worker answers a scrape while it computes: `python -m benchmarks.scrapes`.

A whole stack with the tiny model, which takes all cores that it gets. The worker is scraped while
it waits for work and while it denoises, in turns; a scrape counts as busy only if it says itself
that the worker was. Prints Markdown.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.tables import head, row
from scripts.stack import Stack
from testkit.client import Client

PAUSE_SECONDS = 0.02
BUSY = "tooncrafter_worker_busy 1.0"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scrapes", type=int, default=200, help="of each kind, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    idle: list[float] = []
    busy: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        stack = Stack(Path(root) / "state")
        stack.start()
        try:
            for _ in range(options.rounds):
                _measure(stack, options.scrapes, idle, busy)
        finally:
            stack.stop()
    print(f"Scrapes of one worker on {os.cpu_count()} cores, in milliseconds.\n")
    print(head("worker", "scrapes", "median", "99 of 100 within", "longest"))
    for name, seconds in (("waits", idle), ("computes", busy)):
        last = statistics.quantiles(seconds, n=100)[-1]
        shown = (
            f"{value * 1000:.1f}" for value in (statistics.median(seconds), last, max(seconds))
        )
        print(row([name, str(len(seconds)), *shown]))


def _measure(stack: Stack, wanted: int, idle: list[float], busy: list[float]) -> None:
    with httpx.Client(base_url=stack.url, timeout=60) as http, httpx.Client(timeout=60) as scraper:
        client = Client(http)
        client.wait(client.submit())
        _scrape(scraper, _worker_of(stack), wanted, idle, is_busy=False)
        job_id = client.submit(steps=50, width=512, height=320)
        client.wait(job_id, "running")
        _scrape(scraper, _worker_of(stack), wanted, busy, is_busy=True)
        http.post(f"/v1/interpolations/{job_id}/cancel")
        client.wait(job_id)


def _scrape(
    scraper: httpx.Client, url: str, wanted: int, seconds: list[float], *, is_busy: bool
) -> None:
    """So many scrapes of a worker that is busy or is not; fewer where it changes before."""
    for _ in range(wanted):
        begun = time.perf_counter()
        text = scraper.get(url).text
        took = time.perf_counter() - begun
        if (BUSY in text) is is_busy:
            seconds.append(took)
        time.sleep(PAUSE_SECONDS)


def _worker_of(stack: Stack) -> str:
    targets = json.loads((stack.state / "metrics.json").read_text())
    (target,) = (one["targets"][0] for one in targets if one["labels"]["job"] == "worker")
    return f"http://{target}/metrics"


if __name__ == "__main__":
    main()

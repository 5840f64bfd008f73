"""All benchmarks, each as short as it can be: `python -m testkit.tiny OUT`.

A process of its own, since a benchmark leaves its connections to the end of its process.
"""

import sys
from functools import partial

from benchmarks import fairness, fleet, gateway, model, queue
from benchmarks.__main__ import Areas, main

TINY: Areas = {
    "gateway": partial(gateway.figures, rounds=1, requests=16, changes=3),
    "queue": partial(queue.figures, workers=[1], jobs=3, job_seconds=0.1, idle_jobs=3),
    "fairness": partial(fairness.figures, jobs=10, others=3, tenants=(1, 5)),
    "fleet": partial(
        fleet.figures, ["--workers", "2", "--job-seconds", "1", "--steps", "2", "--seconds", "2"]
    ),
    "model": partial(
        model.figures, ["--dtypes", "fp32", "--steps=1", "--rounds=1", "--height=64", "--width=64"]
    ),
}

if __name__ == "__main__":
    main(["--out", sys.argv[1]], quick=TINY)

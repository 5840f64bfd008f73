"""`python -m admin.workers`: what an operator wants to know of workers and queue, and to have done
with them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from core.records.worker import WorkerRecord
from core.settings import Settings
from core.store.roles.worker import JobStore


class CannotDo(Exception):
    """What was asked is not possible; the message says why, and what is."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one thing and tell what was done.

    Raises:
        SystemExit: it could not be done; the message says why.
    """
    options = _parser().parse_args(arguments)
    try:
        store = JobStore(Settings().find_redis())
        done = _COMMANDS[options.command](store, options)
    except (CannotDo, RuntimeError) as error:
        raise SystemExit(f"admin.workers: {error}") from None
    except RedisError as error:
        raise SystemExit(f"admin.workers: Redis does not answer: {error}") from None
    sys.stdout.write((json.dumps(done, indent=2) if options.json else _as_text(done)) + "\n")


def _status(store: JobStore, _: argparse.Namespace) -> dict[str, Any]:
    workers, waiting = store.workers(), store.count_waiting()
    served = max(
        (store.count_ready(worker.max_canvas_pixels, worker.schema) for worker in workers),
        default=0,
    )
    return {
        "queue": "paused" if store.is_queue_paused() else "open",
        "waiting": waiting,
        # too large or too new for each, or its tenant runs enough
        "waiting_without_a_worker": waiting - served,
        "workers": [_describe(worker) for worker in workers],
    }


def _drain(store: JobStore, options: argparse.Namespace) -> dict[str, Any]:
    names = _chosen(store, options)
    for name in names:
        store.drain(name)
    return {"drained": names}


def _resume(store: JobStore, options: argparse.Namespace) -> dict[str, Any]:
    return {"resumed": [name for name in _chosen(store, options) if store.resume(name)]}


def _pause_queue(store: JobStore, _: argparse.Namespace) -> dict[str, Any]:
    store.pause_queue()
    return {"queue": "paused"}


def _resume_queue(store: JobStore, _: argparse.Namespace) -> dict[str, Any]:
    store.resume_queue()
    return {"queue": "open"}


def _purge(store: JobStore, options: argparse.Namespace) -> dict[str, Any]:
    if not options.yes:
        raise CannotDo(
            f"purge cancels all {store.count_waiting()} waiting jobs, for good; say --yes to do it"
        )
    canceled = 0
    while ids := store.purge():
        canceled += len(ids)
    return {"canceled": canceled}


_COMMANDS = {
    "status": _status,
    "drain": _drain,
    "resume": _resume,
    "pause-queue": _pause_queue,
    "resume-queue": _resume_queue,
    "purge": _purge,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m admin.workers", description="Workers and queue of one deployment."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    each = argparse.ArgumentParser(add_help=False)
    each.add_argument("--json", action="store_true", help="answer as JSON")
    workers = argparse.ArgumentParser(add_help=False)
    workers.add_argument("names", nargs="*", metavar="NAME", help="as `status` shows it")
    workers.add_argument("--all", action="store_true", help="all live workers")
    commands.add_parser("status", parents=[each], help="who lives, and what each does")
    commands.add_parser("drain", parents=[each, workers], help="end the running job, take no other")
    commands.add_parser(
        "resume", parents=[each, workers], help="take jobs again, after drain or quarantine"
    )
    commands.add_parser("pause-queue", parents=[each], help="accept jobs, but start none")
    commands.add_parser("resume-queue", parents=[each], help="start jobs again")
    purge = commands.add_parser("purge", parents=[each], help="cancel all waiting jobs")
    purge.add_argument("--yes", action="store_true", help="do it; there is no way back")
    return parser


def _chosen(store: JobStore, options: argparse.Namespace) -> list[str]:
    """The named workers, or all.

    Raises:
        CannotDo: none was named, or one does not live.
    """
    live = [worker.name for worker in store.workers()]
    if bool(options.names) == options.all:
        raise CannotDo(f"{options.command} wants the names of workers, or --all")
    if unknown := [name for name in options.names if name not in live]:
        raise CannotDo(
            f"no live worker is called {', '.join(unknown)}; there is "
            f"{', '.join(live) or 'none at all'}"
        )
    return list(options.names) or live


def _describe(worker: WorkerRecord) -> dict[str, Any]:
    return {
        "name": worker.name,
        "state": worker.state.value,
        "reason": worker.reason,
        "job": worker.job,
        "host": worker.host,
        "device": worker.device,
        "model": worker.model.name if worker.model else None,
        "max_canvas_pixels": worker.max_canvas_pixels,
        "model_loads": worker.model_loads,
        "started_at": worker.started_at.isoformat() if worker.started_at else None,
    }


def _as_text(done: dict[str, Any]) -> str:
    """One line for each thing that was done or is so, for each worker, and for each day."""
    lines = []
    for name, value in done.items():
        if name == "workers":
            lines += [_as_line(worker) for worker in value] or ["no worker lives"]
        elif name == "days":
            lines += [f"{day}: {seconds:.1f}" for day, seconds in value.items()]
        else:
            lines.append(
                f"{name}: {', '.join(value) or 'none' if isinstance(value, list) else value}"
            )
    return "\n".join(lines)


def _as_line(worker: dict[str, Any]) -> str:
    parts = [
        worker["name"],
        worker["state"],
        f"{worker['model'] or 'no model'} on {worker['device']}",
    ]
    parts += [worker[name] for name in ("job", "reason") if worker[name]]
    return "  ".join(parts)


if __name__ == "__main__":
    main()

"""Show the status of workers and queue; drain and resume workers (docs/operator.md)."""

from typing import Any

from admin.command import AdminError, Options, Result, add_command, result_as_text
from core.records.worker import WorkerRecord
from core.shots.canvas import CANVAS_AREA
from core.store.roles.operator import OperatorStore

_SHOWN = (
    *("name", "state", "reason", "job", "finishing", "host", "device", "model"),
    *("max_canvas_pixels", "model_loads", "started_at"),
)


def add_commands(commands: Any) -> None:
    """Add `status`, `drain` and `resume`."""
    add_command(commands, "status", _status, "live workers, what each does, and what waits", _text)
    for name, run, purpose in (
        ("drain", _drain, "let workers end the running job and take no other"),
        ("resume", _resume, "let drained or quarantined workers take jobs again"),
    ):
        command = add_command(commands, name, run, purpose)
        command.add_argument("names", nargs="*", metavar="NAME", help="as `status` shows it")
        command.add_argument("--all", action="store_true", help="all live workers")


def _status(redis_url: str, _: Options) -> Result:
    store = OperatorStore(redis_url)
    workers, waiting = store.workers(), store.count_waiting()
    startable = _count_startable(store, workers)
    return {
        "queue": "paused" if store.is_queue_paused() else "open",
        "waiting": waiting,
        # too large or too new for every live worker, or the tenant runs as many as it may
        "waiting_without_a_worker": waiting - startable,
        "workers": [_describe(worker) for worker in workers],
    }


def _count_startable(store: OperatorStore, workers: list[WorkerRecord]) -> int:
    """Return how many waiting jobs some live worker can run now.

    Of the workers of one model the ablest counts; jobs for no certain model count once for each
    ToonCrafter model.
    """
    most: dict[str, int] = {}
    for worker in workers:
        name = worker.offer.serves if worker.offer else ""
        abilities = (worker.max_canvas_pixels, worker.newest_schema, worker.engine, name)
        most[name] = max(most.get(name, 0), store.count_ready(*abilities))
    return min(sum(most.values()), store.count_waiting())


def _drain(redis_url: str, options: Options) -> Result:
    store = OperatorStore(redis_url)
    names = _chosen(store, options, "drain")
    for name in names:
        store.drain(name)
    return {"drained": names}


def _resume(redis_url: str, options: Options) -> Result:
    store = OperatorStore(redis_url)
    return {"resumed": [name for name in _chosen(store, options, "resume") if store.resume(name)]}


def _chosen(store: OperatorStore, options: Options, command: str) -> list[str]:
    live = [worker.name for worker in store.workers()]
    if bool(options.names) == options.all:
        raise AdminError(f"{command} wants the names of workers, or --all")
    if unknown := [name for name in options.names if name not in live]:
        raise AdminError(
            f"no live worker is called {', '.join(unknown)}; live are {', '.join(live) or 'none'}"
        )
    return list(options.names) or live


def _describe(worker: WorkerRecord) -> dict[str, Any]:
    shown = worker.model_dump(mode="json", include=set(_SHOWN))
    return {name: shown[name] for name in _SHOWN} | {
        "model": worker.model.name if worker.model else None,
        "memory_bytes": worker.offer.memory_bytes(CANVAS_AREA) if worker.offer else None,
    }


def _text(status: dict[str, Any]) -> str:
    queue = {name: value for name, value in status.items() if name != "workers"}
    workers = [
        "  ".join(
            [
                worker["name"],
                worker["state"],
                f"{worker['model'] or 'no model'} on {worker['device']}",
                *[worker[name] for name in ("job", "reason") if worker[name]],
            ]
        )
        for worker in status["workers"]
    ]
    return "\n".join([result_as_text(queue), *(workers or ["no live worker"])])

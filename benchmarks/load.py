"""Processes under load: what a server's own accounting says it spent, and requests over connections
that stay open.
"""

import http.client
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

CONNECTIONS = 4
# a second, in the kernel's accounting of processes that have ended
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Call:
    """One kind of request; its body is sent with each."""

    method: str
    path: str
    expects: int
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, path: str, fields: Any, expects: int) -> "Call":
        """A POST of a JSON document."""
        return cls(
            "POST", path, expects, json.dumps(fields).encode(), {"Content-Type": "application/json"}
        )

    def sent_with(self, headers: Mapping[str, str]) -> "Call":
        """The same with further headers."""
        return replace(self, headers={**self.headers, **headers})


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children so far, to the nanosecond for those that run
    (scheduler statistics).
    """
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    own = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    # cutime, cstime
    ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    children = [child for thread in threads for child in (thread / "children").read_text().split()]
    return own + sum(map(int, ended)) / TICKS + sum(cpu_seconds(int(child)) for child in children)


def resident_bytes(pid: int) -> int:
    """Memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def answer(port: int, call: Call) -> Any:
    """The JSON of one request's answer.

    Raises:
        RuntimeError: another status than expected came.
    """
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        return json.loads(_send(connection, call) or b"null")


def run_load(port: int, call: Call, requests: int) -> None:
    """Send this many requests over `CONNECTIONS` open connections, each waiting for its answers.

    Raises:
        RuntimeError: another status than expected came.
    """
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                for _ in range(requests // CONNECTIONS):
                    _send(connection, call)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    _each(threads, threading.Thread.start)
    _each(threads, threading.Thread.join)
    if failures:
        raise failures[0]


def microseconds_per_request(pid: int, port: int, call: Call, requests: int) -> float:
    """CPU time that the server spends on one of these requests."""
    before = cpu_seconds(pid)
    run_load(port, call, requests)
    return (cpu_seconds(pid) - before) / requests * 1e6


def _send(connection: http.client.HTTPConnection, call: Call) -> bytes:
    connection.request(call.method, call.path, body=call.body, headers=dict(call.headers))
    response = connection.getresponse()
    body = response.read()
    if response.status != call.expects:
        raise RuntimeError(f"{call.method} {call.path} answered {response.status}: {body[:300]!r}")
    return body


def _each(threads: list[threading.Thread], do: Callable[[threading.Thread], None]) -> None:
    for thread in threads:
        do(thread)

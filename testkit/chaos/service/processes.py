"""Processes that are started again when they die, so that a kill is exact and so is the time until
the next start.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from testkit.servers import ROOT

RESTART_SECONDS = 1.0  # as supervisord waits after the first death


class Service:
    """A process under a name, kept alive until `stop`.

    Args:
        name: on whom the lines of the run tell that a fault was.
        command: program and arguments.
        environment: all of it.
        log: file that takes what the process prints, of all its lives.
        ignores_file_limit: a write past `RLIMIT_FSIZE` answers an error instead of a signal, as a
            full disk does.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        ignores_file_limit: bool = False,
    ) -> None:
        self.name = name
        self.starts = 0
        self._command, self._environment, self._log = command, dict(environment), log
        self._ignores_file_limit = ignores_file_limit
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        assert self._process, f"{self.name} was not started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, and again after each death."""
        self._stopping = False
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def _spawn(self) -> None:
        with self._log.open("ab") as output:
            self._process = await self._run(output)
        self.starts += 1

    async def _run(self, output: IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            # nothing outlives a harness that dies
            *("setpriv", "--pdeathsig", "KILL", *self._command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=self._environment,
            start_new_session=True,
            restore_signals=not self._ignores_file_limit,  # Python itself ignores SIGXFSZ
        )

    async def _keep(self) -> None:
        while True:
            assert self._process
            await self._process.wait()
            if self._stopping:
                return
            await asyncio.sleep(RESTART_SECONDS)
            await self._spawn()

    def send(self, number: signal.Signals) -> None:
        """A signal for this process alone; nothing where it is between two lives."""
        if self.runs:
            os.kill(self.pid, number)

    async def restart(self, patience_seconds: float) -> None:
        """End it in order, as an upgrade does; it starts again at once."""
        await self.stop(patience_seconds)
        await self.start()

    async def stop(self, patience_seconds: float) -> None:
        """SIGTERM, and SIGKILL to the whole group where that does not end it."""
        self._stopping = True
        if self._process is None or self._keeper is None:
            return
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self._process.wait()), patience_seconds)
        except TimeoutError:
            os.killpg(self.pid, signal.SIGKILL)
        await self._keeper

    def children(self) -> list[psutil.Process]:
        """All descendants that live, the oldest first."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def pool_child(self) -> int | None:
        """The process of a Celery worker that computes, or None while there is none."""
        for child in self.children():
            try:
                if any("billiard.spawn" in part for part in child.cmdline()):
                    return int(child.pid)
            except psutil.Error:
                continue
        return None

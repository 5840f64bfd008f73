"""One shot on its way, drawn by a thread of its own; nothing here knows Blender."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tooncrafter_client import Client, Job, JobCanceled, Keyframe, ShotOptions

Connect = Callable[[], Client]


@dataclass(frozen=True)
class Shot:
    """What is drawn, and into which folder."""

    title: str
    keys: Sequence[Keyframe]
    options: ShotOptions
    folder: Path


class Run:
    """Submits a shot, waits for it and writes its files, in a thread.

    The thread writes the attributes, the interface reads them and never waits.

    Args:
        connect: makes the client; called in the thread.
        shot: what is drawn.

    Attributes:
        shot: what is drawn.
        percent: 0 to 100.
        stage: what is being done, in a word.
        files: what was written, in order; empty before the end.
        error: why there are none.
        is_canceled: the thread ended because of `cancel`.
    """

    def __init__(self, connect: Connect, shot: Shot) -> None:
        self.shot = shot
        self.percent = 0.0
        self.stage = "sending"
        self.files: list[Path] = []
        self.error = ""
        self.is_canceled = False
        self._connect = connect
        self._cancel = threading.Event()
        # a daemon: Blender ends without waiting for the service
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether the attributes will not change any more."""
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Ask the thread to cancel the job; it does so within about a second."""
        self.stage = "canceling"
        self._cancel.set()

    def _work(self) -> None:
        try:
            with self._connect() as client:
                job = client.submit(*self.shot.keys, **self.shot.options)
                job = client.wait(job, self._show, cancel_if=self._cancel.is_set)
                self.stage = "saving"
                self.files = sorted(client.save(job, self.shot.folder))
        except JobCanceled:
            self.is_canceled = True
        except Exception as error:  # the interface shows it; a thread has no caller to raise it to
            self.error = str(error) or type(error).__name__

    def _show(self, job: Job) -> None:
        if self._cancel.is_set():
            return
        self.stage = job.status
        if job.progress and not job.has_ended:
            self.stage = job.progress.stage
            self.percent = job.progress.percent

"""Server-sent events (WHATWG HTML, section 9.2) and what they mean here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tooncrafter_client.models import Event, Job, PreviewEvent, Progress, ProgressEvent, StatusEvent

DEFAULT_RETRY_SECONDS = 2.0


@dataclass
class EventDecoder:
    """Turns the bytes of one connection into events.

    Attributes:
        last_id: of the last event with an id; a new connection sends it as `Last-Event-ID`.
        retry_seconds: how long the service asks to wait before a new connection.
    """

    last_id: str | None = None
    retry_seconds: float = DEFAULT_RETRY_SECONDS
    _rest: bytes = b""
    _type: str = ""
    _data: str = ""

    def restart(self) -> None:
        """Drop what a lost connection left unfinished."""
        self._rest, self._type, self._data = b"", "", ""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that a chunk completes; those of unknown types are left out."""
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line:
                self._read_field(line.decode())
            elif self._data:
                event = _event_of(self._type, self._data)
                self._type, self._data = "", ""
                if event:
                    yield event

    def _read_field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id":
            self.last_id = value
        elif name == "retry" and value.isdecimal():
            self.retry_seconds = int(value) / 1000


def _event_of(kind: str, data: str) -> Event | None:
    if kind == "status":
        return StatusEvent(job=Job.model_validate_json(data))
    if kind == "progress":
        return ProgressEvent(progress=Progress.model_validate_json(data))
    if kind == "preview":
        return PreviewEvent.model_validate(json.loads(data))
    return None

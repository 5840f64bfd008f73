"""Steps of a call, written once for both clients.

A flow is a generator. It yields steps and gets back what came of each; `Client` takes the steps
with blocking calls, `AsyncClient` with awaits, and neither knows paths, bodies or retries.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from tooncrafter_client.errors import ToonCrafterError, Unreachable, error_from

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.5
# Calls to this machine use no proxy, whatever the environment says
PAST_PROXIES = {f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")}
LONGEST_PAUSE_SECONDS = 15.0


@dataclass(frozen=True)
class Send:
    """Send a request; brings the `httpx.Response`, its body read unless `stream`."""

    request: httpx.Request
    stream: bool = False


@dataclass(frozen=True)
class Read:
    """Read on in the streamed response; brings bytes, or None at its end."""


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Call a function that may block for a while, such as one that writes files; brings its
    result.
    """

    call: Callable[[], Any]


@dataclass(frozen=True)
class Emit:
    """Hand a value to the caller, who iterates."""

    value: Any


Step = Send | Read | Pause | Work | Emit
Flow = Generator[Step, Any, T]


def emitting(flow: Flow[T]) -> Flow[None]:
    """Emit what a flow returns, so that one driver serves both kinds."""
    value = yield from flow
    yield Emit(value)


def send(
    make: Callable[[], httpx.Request], patience: float, *, stream: bool = False
) -> Flow[httpx.Response]:
    """Send a request until it is answered for good.

    Repeats it while the service is unreachable, away or busy: after `Retry-After` where the answer
    says it, else with exponential backoff and jitter.

    Args:
        make: builds the request; called for each attempt. Repeating it must do no harm.
        patience: seconds for which it is repeated; 0: never.
        stream: leave the body to `Read`.

    Raises:
        ApiError: the service refused it, or was still busy when the patience ended.
        Unreachable: there was no answer at all.
    """
    deadline = time.monotonic() + patience
    pause = FIRST_PAUSE_SECONDS
    while True:
        failure: ToonCrafterError
        asked = None
        try:
            response: httpx.Response = yield Send(make(), stream)
        except httpx.TransportError as error:
            failure = Unreachable(f"{make().url.copy_with(query=None)}: {error or type(error)}")
        else:
            if not response.is_error:
                return response
            failure = refused = error_from(response)
            asked = refused.retry_after_seconds
        seconds = asked if asked is not None else pause * random.uniform(0.5, 1)  # noqa: S311
        if not failure.is_temporary or time.monotonic() + seconds > deadline:
            raise failure
        yield Pause(seconds)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

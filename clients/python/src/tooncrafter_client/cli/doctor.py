"""`doctor`: what of server, key and model works."""

from __future__ import annotations

import httpx
import typer

from tooncrafter_client._version import __version__
from tooncrafter_client.cli.service import FAILED, TRY_AGAIN, Service, command, out, print_json
from tooncrafter_client.client import Client
from tooncrafter_client.errors import Forbidden, ToonCrafterError, Unauthorized
from tooncrafter_client.models import Model, Queue

Finding = tuple[str, bool, str]  # what was looked at, whether it is well, words


@command
def doctor(service: Service) -> None:
    """Look at server, key, workers and models; exit 0 if a job would run now."""
    with service.client() as client:
        findings = [("client", True, f"tooncrafter-client {__version__}"), *_look(client)]
    for what, is_well, words in findings:
        if service.json:
            print_json({"what": what, "ok": is_well, "detail": words})
        else:
            out.print(f"{'[green]✓[/]' if is_well else '[red]✗[/]'} {what}: {words}")
    wrong = [what for what, is_well, _ in findings if not is_well]
    if wrong:
        raise typer.Exit(TRY_AGAIN if wrong == ["server"] else FAILED)


def _look(client: Client) -> list[Finding]:
    try:
        ready = httpx.get(f"{client.url}/readyz", timeout=10)
    except httpx.TransportError as error:
        return [("server", False, f"{client.url} does not answer: {error}")]
    if ready.is_error:
        return [("server", False, f"{client.url} is not ready: {ready.text.strip()}")]
    findings: list[Finding] = [("server", True, f"{client.url} is ready")]
    try:
        queue, models = client.queue(), client.models()
    except (Unauthorized, Forbidden) as error:
        hint = "give one with --key or TOONCRAFTER_KEY; the operator makes keys"
        return [*findings, ("key", False, f"{error} ({hint})")]
    except ToonCrafterError as error:
        return [*findings, ("server", False, str(error))]
    findings.append(("key", True, "accepted" if client.has_key else "none is needed"))
    return [*findings, _workers(queue), *map(_model, models)]


def _workers(queue: Queue) -> Finding:
    able = sum(queue.workers.get(state, 0) for state in ("idle", "busy", "loading"))
    counts = ", ".join(f"{count} {state}" for state, count in queue.workers.items() if count)
    waiting = sum(lane.depth for lane in queue.lanes)
    words = f"{counts or 'none lives'}; {waiting} jobs wait"
    if queue.paused:
        return ("queue", False, f"the operator lets no job start; {words}")
    return ("workers", able > 0, words)


def _model(model: Model) -> Finding:
    where = f"{model.dtype} on {', '.join(model.devices)}"
    if model.trained:
        return ("model", True, f"{model.name}, {where}")
    return ("model", True, f"{model.name}, {where}; its weights are random, results are noise")

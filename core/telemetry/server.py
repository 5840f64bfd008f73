"""Serve `/metrics`, `/healthz` and `/readyz` on a port for operators only."""

import socketserver
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from core.settings import Settings

log = structlog.get_logger("core")


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A slow scrape delays no other, and none of them delays the end of the process."""

    daemon_threads = True
    request_queue_size = 16


class _Handler(WSGIRequestHandler):
    """Without a line in the log for each scrape."""

    timeout = 10  # seconds for a head to arrive

    def log_message(self, *_: object) -> None:
        """Nothing."""


def serve_metrics(
    settings: Settings, registry: CollectorRegistry, is_ready: Callable[[], bool]
) -> WSGIServer | None:
    """Answer scrapes from threads of their own, from now on; nothing where no port is set.

    Args:
        settings: address and port; port 0 chooses a free one, which `server_port` of the answer
            tells.
        registry: what to show.
        is_ready: what `/readyz` says; it has to answer within a moment.

    Raises:
        OSError: the port is taken.
    """
    if settings.metrics_port is None:
        return None
    scrape = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            shown: Iterable[bytes] = scrape(environ, start_response)
            return shown
        known = {"/healthz": lambda: True, "/readyz": is_ready}
        good = path in known and known[path]()
        status = (
            "200 OK" if good else "503 Service Unavailable" if path in known else "404 Not Found"
        )
        words = f"{status[4:]}\n".encode()
        start_response(
            status, [("Content-Type", "text/plain"), ("Content-Length", str(len(words)))]
        )
        return [words]

    server = make_server(settings.metrics_host, settings.metrics_port, answer, _Server, _Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("metrics are served", host=settings.metrics_host, port=server.server_port)
    return server

"""`python -m api`: the gateway in one uvicorn process."""

import math
import resource
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from api.first_key import prepare_keys
from api.main import create_app
from core.environment import read_settings
from core.settings import Settings
from core.store.check import check_redis_in_background
from core.telemetry.logging import configure_logging
from core.telemetry.registries import registry_of
from core.telemetry.server import serve_metrics
from core.telemetry.tracing import begin_tracing, end_tracing


class Server(uvicorn.Server):
    """Ends long polls and event streams at a signal; uvicorn by itself would wait for them."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting, end what waits, finish what is in flight."""
        if watch := getattr(self._app.state, "watch", None):  # else the start was not complete
            watch.close()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished."""
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "gateway")
    check_redis_in_background(settings.find_redis())
    prepare_keys(settings)
    app = create_app(settings)
    serve_metrics(settings, registry_of("gateway"), is_ready=lambda: hasattr(app.state, "watch"))
    _allow_all_files()
    Server(server_config(app, settings), app).run()
    end_tracing()


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves the app."""
    return uvicorn.Config(
        app,
        http="h11",  # httptools drops the body of a request that offers HTTP/2
        host=settings.host,
        port=settings.port,
        log_config=None,  # `configure_logging` formats uvicorn's lines as well
        access_log=False,  # the middleware writes it, with the request's id
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        ws="none",
        timeout_keep_alive=math.ceil(settings.keep_alive_timeout.total_seconds()),
        timeout_graceful_shutdown=10,
    )


def _allow_all_files() -> None:
    """Raise the limit of open files: each event stream holds a connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()

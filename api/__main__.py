"""`python -m api`: the gateway in one uvicorn process."""

import math
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.first_key import prepare_keys
from api.http.connections import ConnectionLimits, allow_files, protocol_within
from api.main import create_app
from core.settings import Settings
from core.store.check import check_redis_in_background
from core.telemetry.logging import configure_logging
from core.telemetry.metrics import gateway_registry
from core.telemetry.server import serve_metrics
from core.telemetry.tracing import begin_tracing, end_tracing


class Server(uvicorn.Server):
    """Lets long polls and event streams end when it is told to stop; uvicorn by itself would wait
    for them.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting, end what waits, finish what is in flight."""
        # else the signal came before the start was complete
        if watch := getattr(self._app.state, "watch", None):
            watch.close()
        super().handle_exit(sig, frame)


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests in flight may end."""
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "gateway")
    check_redis_in_background(settings.find_redis())
    prepare_keys(settings)
    app = create_app(settings)
    serve_metrics(settings, gateway_registry(), is_ready=lambda: hasattr(app.state, "watch"))
    allow_files(settings.max_connections)
    config = uvicorn.Config(
        app,
        http=protocol_within(ConnectionLimits.of(settings)),
        host=settings.host,
        port=settings.port,
        log_config=None,  # uvicorn's lines go through our format
        access_log=False,  # the middleware writes it, with the request's id
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        ws="none",
        timeout_keep_alive=math.ceil(settings.keep_alive_timeout.total_seconds()),
        timeout_graceful_shutdown=10,
    )
    Server(config, app).run()
    end_tracing()


if __name__ == "__main__":
    main()

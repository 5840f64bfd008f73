"""`python -m api`: the gateway in one uvicorn process."""

import uvicorn

from api.main import create_app
from core.logging import configure_logging
from core.settings import Settings


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests in flight may end."""
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,  # uvicorn's lines go through our format
        access_log=False,  # the middleware writes it, with the request's id
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()

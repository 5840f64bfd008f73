"""Write structured log lines to standard error, one event each.

Bound values, such as request id and job id, are in every line.
"""

import logging
import sys

import structlog
from structlog.typing import Processor

from core.environment import misspelt_names


def configure_logging(level: str, log_format: str) -> None:
    """Route our events and those of the libraries through one pipeline; call once where a process
    starts.

    Args:
        level: the least level that is written, such as `info`.
        log_format: `json` for one object per line, `text` for people.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if log_format == "text"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # what is not written costs nothing
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for library in ("httpcore", "botocore"):
        # below that they write headers and signed links
        logging.getLogger(library).setLevel(logging.INFO)
    for sentence in misspelt_names():
        structlog.get_logger("settings").warning(sentence)

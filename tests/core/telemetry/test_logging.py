"""One event per line, with what was bound to it."""

import json
import logging
import sys
import warnings

import pytest
import structlog

from core.telemetry.logging import configure_logging


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_line_holds_the_event_and_what_was_bound(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line about a job has its id, whichever module wrote it."""
    configure_logging("info", "json")
    with structlog.contextvars.bound_contextvars(job_id="itp_1"):
        structlog.get_logger("worker").info("model loaded", seconds=2.5)
        logging.getLogger("botocore").warning("slow %s", "bucket")
    ours, theirs = lines(capsys)
    assert (ours["event"], ours["seconds"], ours["job_id"], ours["level"]) == (
        "model loaded",
        2.5,
        "itp_1",
        "info",
    )
    assert (theirs["event"], theirs["job_id"], theirs["logger"]) == (
        "slow bucket",
        "itp_1",
        "botocore",
    )
    assert str(ours["timestamp"]).endswith("Z")


def test_level_is_the_least_that_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """For our own loggers and those of libraries."""
    configure_logging("warning", "json")
    structlog.get_logger("api").info("quiet")
    logging.getLogger("uvicorn").info("quiet")
    structlog.get_logger("api").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_warning_of_a_library_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Python's own form of it would take two, and be none of JSON."""
    configure_logging("info", "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old habit", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    (line,) = lines(capsys)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "old habit" in str(line["event"])


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_a_caller_sent_forges_no_line(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    """Line ends of all kinds, and what moves the cursor of a terminal or turns its writing
    around.
    """
    configure_logging("info", log_format)
    structlog.get_logger("api").info(
        "request", path="/v1\n2026 [info] forged\r\x1b[2J\u202e\x85\u2028\x9b31m"
    )
    told = capsys.readouterr().err
    assert told.endswith("\n")
    assert told[:-1].isprintable()


def test_exception_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Its trace is a field; a line per event is what collectors read."""
    configure_logging("info", "json")
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("worker").exception("unexpected error")
    (line,) = lines(capsys)
    assert "ValueError: broken" in str(line["exception"])


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """No JSON where somebody reads along."""
    configure_logging("info", "text")
    structlog.get_logger("api").info("ready", port=8000)
    text = capsys.readouterr().err
    assert "ready" in text
    assert "port=8000" in text
    assert not sys.stderr.isatty() or "\x1b" in text

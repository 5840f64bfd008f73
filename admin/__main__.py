"""Run `python -m admin`: keys, webhook secrets, usage, workers and the queue of a deployment."""

import argparse
import json
import sys
from collections.abc import Sequence

from redis.exceptions import RedisError

from admin import api_keys, job_queue, usage, webhook_secrets, workers
from admin.command import AdminError
from core.environment import misspelt_names, read_settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and print its result.

    Raises:
        SystemExit: the command failed; the message says why.
    """
    options = _parser().parse_args(arguments)
    for sentence in misspelt_names():
        sys.stderr.write(f"admin: {sentence}\n")
    try:
        result = options.run(read_settings().find_redis(), options)
    except (RuntimeError, AdminError) as error:
        raise SystemExit(f"admin: {error}") from None
    except RedisError as error:
        raise SystemExit(f"admin: Redis does not answer: {error}") from None
    text = json.dumps(result, indent=2) if options.json else options.as_text(result)
    sys.stdout.write(text + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m admin",
        description="Operate a deployment. TOONCRAFTER_REDIS_URL or TOONCRAFTER_STATE_DIR says "
        "which. Every command takes --json.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for subject in (api_keys, webhook_secrets, usage, workers, job_queue):
        subject.add_commands(commands)
    return parser


if __name__ == "__main__":
    main()

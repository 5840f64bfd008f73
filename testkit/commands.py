"""Run `python -m admin` and its old names as an operator types them."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

Ask = Callable[..., Any]


def run_command(
    *arguments: str, module: str = "admin", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as it is typed."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=60
    )

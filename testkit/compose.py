"""The compose file as Docker Compose itself reads it."""

import os
import subprocess

from testkit.servers import ROOT

CHECKERS = ROOT / ".venv" / "checkers" / "bin"
SECRETS = ("TOONCRAFTER_S3_SECRET_ACCESS_KEY", "GRAFANA_PASSWORD")


def compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Compose itself, with nothing set but what is given."""
    command = [
        CHECKERS / "docker-compose",
        "--project-directory",
        ROOT,
        "--file",
        ROOT / "docker-compose.yml",
    ]
    nothing = {"PATH": os.environ["PATH"], "COMPOSE_DISABLE_ENV_FILE": "1"}
    return subprocess.run(
        [*command, *arguments],
        env=nothing | environment,
        capture_output=True,
        text=True,
        check=False,
    )

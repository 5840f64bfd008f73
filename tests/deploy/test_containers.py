"""The Dockerfiles and the page about containers, checked without an engine."""

import os
import re
import subprocess
from typing import Any

import pytest
import yaml

from testkit.compose import CHECKERS
from testkit.servers import ROOT

if not CHECKERS.exists() and not os.environ.get("CI"):
    pytest.skip("`make setup-tests` installs the checkers", allow_module_level=True)


class TestPage:
    """docs/containers.md."""

    PAGE = (ROOT / "docs" / "containers.md").read_text()

    def test_it_lists_what_one_may_set(self) -> None:
        """What compose reads from `.env` stands there, or in .env.example where it is a setting of
        ours.
        """
        read = set(re.findall(r"\$\{([A-Z_0-9]+)", (ROOT / "docker-compose.yml").read_text()))
        ours = set(re.findall(r"TOONCRAFTER_[A-Z_0-9]+", (ROOT / ".env.example").read_text()))
        told = set(re.findall(r"`([A-Z_0-9]+)`", self.PAGE))
        assert read - ours <= told
        assert {
            name for name in told if name.startswith(("TOONCRAFTER_", "GRAFANA_", "PROMETHEUS_"))
        } <= read | ours

    def test_it_names_every_service(self, services: dict[str, dict[str, Any]]) -> None:
        """In the table of what each may, with its user."""
        rows = dict(re.findall(r"^\| ([a-z, -]+) \| ([^|]+) \|.*\|.*\|$", self.PAGE, re.MULTILINE))
        named = {
            name.strip().rstrip("s"): user
            for names, user in rows.items()
            for name in names.split(",")
        }
        for name, service in services.items():
            user = named[re.sub(r"-(\d|cpu)$", "", name).rstrip("s")]
            assert service.get("user", user).partition(":")[0] == user or "user" not in service, (
                name
            )

    def test_its_profiles_are_there(self) -> None:
        """All of them, each with its worker."""
        file = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
        profiles = {profile for service in file for profile in service.get("profiles", [])}
        assert set(re.findall(r"--profile ([a-z0-9-]+)", self.PAGE)) <= profiles
        assert {
            name
            for name in profiles
            if f"`{name}`" in self.PAGE or f"--profile {name}" in self.PAGE
        } == profiles


class TestDockerfiles:
    @pytest.mark.parametrize("name", ["Dockerfile.api", "Dockerfile.gpu"])
    def test_linter_has_nothing_to_say(self, name: str) -> None:
        """DL3008 wants versions of Debian packages, which Debian deletes with each security
        update.
        """
        linted = subprocess.run(
            [CHECKERS / "hadolint", "--ignore", "DL3008", "--no-color", ROOT / name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert linted.returncode == 0, linted.stdout

    @pytest.mark.parametrize(
        ("name", "packages"),
        [
            ("Dockerfile.api", {"admin", "api", "core", "dispatcher"}),
            ("Dockerfile.gpu", {"admin", "core", "model", "worker"}),
        ],
    )
    def test_image_holds_its_packages_and_no_others(self, name: str, packages: set[str]) -> None:
        """Who may import whom is physical there."""
        text = (ROOT / name).read_text()
        assert set(re.findall(r"^COPY (\w+) \w+$", text, re.MULTILINE)) == packages
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)

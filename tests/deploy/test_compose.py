"""The compose file, as far as it can be checked without an engine."""

import http.server
import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from core.settings import Settings
from testkit.compose import CHECKERS, SECRETS, compose
from testkit.servers import ROOT
from testkit.web import answering

OURS = (
    "gateway",
    "dispatcher",
    "webhooks",
    "bucket",
    "worker",
    "worker-1",
    "worker-2",
    "worker-3",
    "worker-preview",
    "worker-cpu",
)

CAPABILITIES = {"dcgm-exporter": ["SYS_ADMIN"], "proxy": ["NET_BIND_SERVICE"]}

if not CHECKERS.exists() and not os.environ.get("CI"):
    pytest.skip("`make setup-tests` installs the checkers", allow_module_level=True)


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_request(self, *_: object) -> None:
        """Tests print nothing."""


class TestCompose:
    @pytest.mark.parametrize("name", SECRETS)
    def test_missing_secret_stops_the_start(self, name: str) -> None:
        """No stack comes up with a password that everybody knows; the message says what to set."""
        others = {secret: "example" for secret in SECRETS if secret != name}
        refused = compose("config", "--quiet", **others)
        assert refused.returncode != 0
        assert f"required variable {name} is missing" in refused.stderr

    def test_every_setting_is_one(self, services: dict[str, dict[str, Any]]) -> None:
        """A misspelt name would be ignored in silence."""
        known = {f"TOONCRAFTER_{name.upper()}" for name in Settings.model_fields}
        named = {name for service in services.values() for name in service.get("environment", {})}
        assert {name for name in named if name.startswith("TOONCRAFTER_")} <= known

    def test_each_profile_has_the_workers_that_it_says(self) -> None:
        """One GPU by one profile, and none of them where there is no GPU."""
        secrets = dict.fromkeys(SECRETS, "example")

        def workers(*profiles: str) -> set[str]:
            chosen = [argument for profile in profiles for argument in ("--profile", profile)]
            listed = compose(*chosen, "config", "--services", **secrets).stdout.split()
            return {name for name in listed if name.startswith("worker")}

        assert workers() == set()
        assert workers("cpu") == {"worker-cpu"}
        assert workers("gpu") == {"worker", "worker-preview"}
        assert workers("gpu", "gpu-1") == {"worker", "worker-1", "worker-preview"}

    def test_the_preview_engine_runs_on_cores(self, services: dict[str, dict[str, Any]]) -> None:
        """Alone without a GPU, and beside ToonCrafter's worker with one."""
        for name in ("worker-cpu", "worker-preview"):
            environment = services[name]["environment"]
            assert environment["TOONCRAFTER_MODEL"] == "preview"
            assert environment["TOONCRAFTER_DEVICE"] == "cpu"

    def test_each_gpu_has_one_worker(self, services: dict[str, dict[str, Any]]) -> None:
        cards = [
            device["device_ids"]
            for name, service in services.items()
            if name.startswith("worker")
            for device in service["deploy"]["resources"].get("reservations", {}).get("devices", [])
        ]
        assert cards == [["0"], ["1"], ["2"], ["3"]]

    @pytest.mark.parametrize("name", OURS)
    def test_our_processes_see_no_secret_of_others(
        self, services: dict[str, dict[str, Any]], name: str
    ) -> None:
        assert not services[name]["environment"].get("GRAFANA_PASSWORD")

    def test_nobody_owns_more_than_it_needs(self, services: dict[str, dict[str, Any]]) -> None:
        """The others' images likewise; NVIDIA's exporter alone writes where it likes and keeps one
        capability.
        """
        for name, service in services.items():
            assert service.get("read_only", False) is (name != "dcgm-exporter"), name
            assert service["cap_drop"] == ["ALL"], name
            assert service.get("cap_add", []) == CAPABILITIES.get(name, []), name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["deploy"]["resources"]["limits"]["memory"], name
            assert service.get("privileged", False) is False, name

    def test_everybody_says_how_it_is(self, services: dict[str, dict[str, Any]]) -> None:
        """Every service that stays has a health check; Grafana waits for Prometheus."""
        unchecked = {
            name
            for name, service in services.items()
            if "test" not in service.get("healthcheck", {})
        }
        assert unchecked == {"bucket"}  # ends once the bucket is there
        assert services["grafana"]["depends_on"]["prometheus"]["condition"] == "service_healthy"

    def test_checks_ask_no_other_service(self, services: dict[str, dict[str, Any]]) -> None:
        """A Redis that hangs makes no process of ours unhealthy: a new one would wait for it just
        so.
        """
        for name in set(OURS) - {"bucket"}:
            # a worker's: whether it has its model
            path = "readyz" if name.startswith("worker") else "healthz"
            assert f"/{path}'" in services[name]["healthcheck"]["test"][-1], name

    @pytest.mark.parametrize("name", ["gateway", "dispatcher", "worker"])
    def test_checks_use_no_proxy(self, services: dict[str, dict[str, Any]], name: str) -> None:
        """A container may be given the proxy of its host; a check asks this container alone."""
        module, command, program = services[name]["healthcheck"]["test"][1:]
        with answering(Healthy) as address:
            asked = re.sub(r"127\.0\.0\.1:\d+", address, program)
            checked = subprocess.run(
                [sys.executable, command, asked],
                env=dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:1"),
                capture_output=True,
                text=True,
                check=False,
            )
        assert (module, checked.returncode) == ("python", 0), checked.stderr

    def test_other_checks_use_no_proxy(self, services: dict[str, dict[str, Any]]) -> None:
        for name in ("prometheus", "grafana"):
            assert services[name]["healthcheck"]["test"][1:4] == ["wget", "-Y", "off"]

    def test_no_log_fills_the_disk(self, services: dict[str, dict[str, Any]]) -> None:
        """Docker keeps everything that is printed unless it is told not to."""
        for name, service in services.items():
            options = service["logging"]["options"]
            assert (options["max-size"], int(options["max-file"])) == ("10m", 5), name

    def test_callers_come_through_the_proxy(self, services: dict[str, dict[str, Any]]) -> None:
        """It has the gateway's address, and the gateway believes it and knows its name."""
        proxy, gateway = services["proxy"], services["gateway"]["environment"]
        assert proxy["environment"]["GATEWAY"] == f"gateway:{gateway['TOONCRAFTER_PORT']}"
        assert json.loads(gateway["TOONCRAFTER_GATEWAY_NAMES"]) == [
            proxy["environment"]["SITE_ADDRESS"]
        ]
        file = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        (inside,) = file["networks"]["inside"]["ipam"]["config"]
        trusted = file["services"]["gateway"]["environment"]["TOONCRAFTER_TRUSTED_PROXIES"]
        assert trusted == f'["{inside["subnet"]}"]'

    def test_converted_weights_are_kept(self, services: dict[str, dict[str, Any]]) -> None:
        """In a volume that the image's user may write, while the published file cannot be
        harmed.
        """
        folder = services["worker"]["environment"]["TOONCRAFTER_MODEL_CACHE"]
        assert re.search(
            rf"install -d -o 10001 -g 10001 {folder}$",
            (ROOT / "Dockerfile.gpu").read_text(),
            re.MULTILINE,
        )
        for name in (name for name in OURS if name.startswith("worker")):
            mounts = {mount["target"]: mount for mount in services[name]["volumes"]}
            assert mounts[folder]["type"] == "volume"
            assert mounts.get("/models", {"read_only": True})["read_only"] is True

    def test_prometheus_asks_those_who_are_there(self, services: dict[str, dict[str, Any]]) -> None:
        """By the names that compose gives them, and Grafana finds what it shows where it is
        mounted.
        """
        jobs = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())[
            "scrape_configs"
        ]
        targets = {
            target for job in jobs for group in job["static_configs"] for target in group["targets"]
        }
        scraped = {name for name in OURS if name != "bucket"}
        assert targets == {f"{name}:9100" for name in scraped} | {"dcgm-exporter:9400"}
        providers = (
            ROOT / "monitoring" / "grafana" / "provisioning" / "dashboards" / "tooncrafter.yml"
        )
        (provider,) = yaml.safe_load(providers.read_text())["providers"]
        assert provider["options"]["path"] in {
            mount["target"] for mount in services["grafana"]["volumes"]
        }

    @pytest.mark.parametrize("name", ["redis", "prometheus", "grafana"])
    def test_neither_do_those_of_others_as_far_as_their_images_let_them(
        self, services: dict[str, dict[str, Any]], name: str
    ) -> None:
        """The storage and NVIDIA's exporter do not, which docs/security.md tells."""
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_first_key_is_the_gateways_alone(self, services: dict[str, dict[str, Any]]) -> None:
        """It finds it where it looks; a file, since a read-only container takes no other secret."""
        assert [name for name, service in services.items() if service.get("secrets")] == ["gateway"]
        (secret,) = services["gateway"]["secrets"]
        file = services["gateway"]["environment"]["TOONCRAFTER_INITIAL_KEY_FILE"]
        assert file == secret.get("target", "/run/secrets/" + secret["source"])
        secrets = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["secrets"]
        assert [list(one) for one in secrets.values()] == [["file"]]

    def test_nobody_outside_reaches_redis(self, services: dict[str, dict[str, Any]]) -> None:
        """It has no port and no network but the inner one; all other ports are this machine's."""
        assert "ports" not in services["redis"]
        assert list(services["redis"]["networks"]) == ["inside"]
        ports = [port for service in services.values() for port in service.get("ports", [])]
        assert ports
        assert {port["host_ip"] for port in ports} == {"127.0.0.1"}

    def test_redis_keeps_what_it_was_told(self, services: dict[str, dict[str, Any]]) -> None:
        command = " ".join(services["redis"]["command"])
        assert "--appendonly yes" in command
        assert "--maxmemory-policy noeviction" in command

    def test_workers_may_end_their_jobs(self, services: dict[str, dict[str, Any]]) -> None:
        """The grace of the container is longer than the worker's own."""
        grace = Settings.model_fields["shutdown_grace"].default.total_seconds()
        for name in (name for name in OURS if name.startswith("worker")):
            assert _seconds(services[name]["stop_grace_period"]) >= grace + 15

    def test_all_wait_for_what_they_need(self, services: dict[str, dict[str, Any]]) -> None:
        for name in set(OURS) - {"bucket"}:
            needs = {other: how["condition"] for other, how in services[name]["depends_on"].items()}
            assert needs == {"redis": "service_healthy", "bucket": "service_completed_successfully"}
            assert services[name]["healthcheck"]["test"]


def _seconds(duration: str) -> float:
    """`1m0s` in seconds."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert parts, duration
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + seconds

"""The manifests of a cluster, against the schemas of Kubernetes and against the settings."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
VALIDATE = Path(__file__).resolve().parents[2] / ".venv" / "checkers" / "bin" / "kubernetes-validate"
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}  # of KEDA and the Prometheus operator: no schema here
DEPLOYMENTS = ("gateway", "dispatcher", "webhooks", "worker")


def manifests() -> list[dict[str, Any]]:
    names = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [part for name in names for part in yaml.safe_load_all((FOLDER / name).read_text())]


def the(kind: str, name: str) -> dict[str, Any]:
    found = [part for part in manifests() if (part["kind"], part["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = the("Deployment", name)["spec"]["template"]["spec"]
    return spec


def settings_of_the_cluster() -> dict[str, str]:
    generators = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generators[0]["literals"])


@pytest.mark.skipif(not VALIDATE.exists() and not os.environ.get("CI"), reason="`make setup-tests` installs it")
def test_schemas_know_every_field(tmp_path: Path) -> None:
    """Unknown and wrongly typed fields are refused, as the server would."""
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all([part for part in manifests() if part["kind"] not in FOREIGN]))
    checked = subprocess.run([VALIDATE, "--strict", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_file_is_applied() -> None:
    """A manifest that the kustomization forgot would never reach a cluster."""
    named = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(named) == sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


def test_every_setting_is_one() -> None:
    """A misspelt name would be ignored in silence."""
    known = {f"TOONCRAFTER_{name.upper()}" for name in Settings.model_fields}
    named = {entry["name"] for name in DEPLOYMENTS for entry in pod(name)["containers"][0].get("env", [])}
    assert named | set(settings_of_the_cluster()) <= known


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_nobody_owns_what_it_need_not(name: str) -> None:
    """The namespace enforces it too; here the files say so before a cluster does."""
    spec = pod(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for container in spec["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_drained_node_takes_not_all_at_once(name: str) -> None:
    budget = the("PodDisruptionBudget", name)["spec"]
    assert budget["selector"] == the("Deployment", name)["spec"]["selector"]


class TestWorker:
    def test_job_may_end_before_the_pod_is_killed(self) -> None:
        """What the worker grants a job, and time to give it back."""
        grace = float(settings_of_the_cluster()["TOONCRAFTER_SHUTDOWN_GRACE"])
        assert pod("worker")["terminationGracePeriodSeconds"] >= grace + 15

    def test_loading_has_its_time(self) -> None:
        """Ten gigabytes from a slow volume take minutes; a probe that gave up would restart the pod for ever."""
        probe = pod("worker")["containers"][0]["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 20 * 60

    def test_weights_are_read_only(self) -> None:
        (mount,) = [one for one in pod("worker")["containers"][0]["volumeMounts"] if one["name"] == "weights"]
        assert mount["readOnly"] is True
        assert settings_of_the_cluster()["TOONCRAFTER_MODEL"].startswith(mount["mountPath"])

    def test_scaling_chooses_the_number_alone(self) -> None:
        """A number in the deployment would be set back by each `kubectl apply`."""
        assert "replicas" not in the("Deployment", "worker")["spec"]
        assert the("ScaledObject", "worker")["spec"]["scaleTargetRef"] == {"name": "worker"}

"""The manifests of a cluster, against the schemas of Kubernetes and against the settings."""

import json
import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from core.records.webhook import TIME_LIMIT
from core.records.worker import WorkerState
from core.settings import Settings
from core.store.queue_metrics import QueueMetrics
from dispatcher.__main__ import SHUTDOWN_SECONDS
from testkit.kubernetes import (
    DEPLOYMENTS,
    FOLDER,
    FOREIGN,
    VALIDATE,
    manifests,
    pod,
    settings_of_the_cluster,
    the,
)
from testkit.servers import RedisServer


@pytest.mark.skipif(
    not VALIDATE.exists() and not os.environ.get("CI"), reason="`make setup-tests` installs it"
)
def test_schemas_know_every_field(tmp_path: Path) -> None:
    """Unknown and wrongly typed fields are refused, as the server would."""
    path = tmp_path / "all.yaml"
    path.write_text(
        yaml.safe_dump_all([part for part in manifests() if part["kind"] not in FOREIGN])
    )
    checked = subprocess.run(
        [VALIDATE, "--strict", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_file_is_applied() -> None:
    """A manifest that the kustomization forgot would never reach a cluster."""
    named = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(named) == sorted(
        path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml"
    )


def test_every_setting_is_one() -> None:
    """A misspelt name would be ignored in silence."""
    known = {f"TOONCRAFTER_{name.upper()}" for name in Settings.model_fields}
    named = {
        entry["name"] for name in DEPLOYMENTS for entry in pod(name)["containers"][0].get("env", [])
    }
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


def grace(name: str) -> timedelta:
    """Until the pod is killed."""
    return timedelta(seconds=pod(name)["terminationGracePeriodSeconds"])


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("dispatcher", timedelta(seconds=SHUTDOWN_SECONDS)),
        ("webhooks", TIME_LIMIT),
        # the balancer learns of the end; then what is in flight ends
        ("gateway", timedelta(seconds=5 + 10)),
    ],
)
def test_pod_lives_until_its_process_has_ended_in_order(name: str, needs: timedelta) -> None:
    """A process that is killed on the way leaves work to others that it could have ended."""
    assert grace(name) >= needs + timedelta(seconds=5)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_probes_ask_what_the_process_serves(name: str) -> None:
    """A probe of a path or port that is not there would restart a healthy pod for ever."""
    container = pod(name)["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe := container.get(kind):
            assert probe["httpGet"]["port"] in ports
            assert probe["httpGet"]["path"] in {"/healthz", "/readyz", "/metrics"}
    assert {port["containerPort"] for port in container["ports"]} <= {
        9100,
        Settings.model_fields["port"].default,
    }


class TestWorker:
    def test_job_may_end_before_the_pod_is_killed(self) -> None:
        """What the worker grants a job, and time to give it back."""
        grace = float(settings_of_the_cluster()["TOONCRAFTER_SHUTDOWN_GRACE"])
        assert pod("worker")["terminationGracePeriodSeconds"] >= grace + 15

    def test_loading_has_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As much as Celery gives it; a probe that gave up earlier would restart the pod for
        ever.
        """
        # an app is made when this is imported
        monkeypatch.setenv("TOONCRAFTER_REDIS_URL", "redis://127.0.0.1:1/0")
        from worker.celery import MODEL_LOAD_SECONDS

        probe = pod("worker")["containers"][0]["startupProbe"]
        assert probe["httpGet"]["path"] == "/readyz"
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 2 * MODEL_LOAD_SECONDS

    def test_weights_are_read_only(self) -> None:
        (mount,) = [
            one
            for one in pod("worker")["containers"][0]["volumeMounts"]
            if one["name"] == "weights"
        ]
        (volume,) = [one for one in pod("worker")["volumes"] if one["name"] == "weights"]
        assert (mount["readOnly"], volume["persistentVolumeClaim"]["readOnly"]) == (True, True)
        the("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        assert settings_of_the_cluster()["TOONCRAFTER_MODEL"].startswith(mount["mountPath"])

    def test_scaling_chooses_the_number_alone(self) -> None:
        """A number in the deployment would be set back by each `kubectl apply`."""
        assert "replicas" not in the("Deployment", "worker")["spec"]
        assert the("ScaledObject", "worker")["spec"]["scaleTargetRef"] == {"name": "worker"}


def scaling_query() -> str:
    (trigger,) = the("ScaledObject", "worker")["spec"]["triggers"]
    assert trigger["metadata"]["threshold"] == "1"  # one worker for each of what the query counts
    return str(trigger["metadata"]["query"])


class TestPreview:
    def test_a_worker_for_previews_needs_no_gpu_and_no_weights(self) -> None:
        container = pod("preview")["containers"][0]
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert environment == {"TOONCRAFTER_MODEL": "preview", "TOONCRAFTER_DEVICE": "cpu"}
        assert "nvidia.com/gpu" not in container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {"tmp", "shm"}
        assert pod("preview")["terminationGracePeriodSeconds"] >= grace("worker").total_seconds()


class TestScaling:
    def test_query_names_metrics_and_states_that_exist(self, redis_server: RedisServer) -> None:
        """One that is misspelt would count as nothing, and the deployment would shrink to its
        least.
        """
        registry = CollectorRegistry()
        registry.register(QueueMetrics(redis_server.url, max_queued=10_000))
        served = set(
            re.findall(r"^(tooncrafter_\w+)", generate_latest(registry).decode(), re.MULTILINE)
        )
        assert set(re.findall(r"tooncrafter_\w+", scaling_query())) <= served
        (states,) = re.findall(r'state=~"([^"]+)"', scaling_query())
        assert set(states.split("|")) <= {state.value for state in WorkerState}

    @pytest.mark.skipif(
        not shutil.which("promtool") and not os.environ.get("CI"),
        reason="`make setup-tests` installs it",
    )
    def test_jobs_for_toon_crafter_and_held_workers_count_once_with_two_dispatchers(
        self, tmp_path: Path
    ) -> None:
        """Both tell the same; 6 jobs wait or run, one worker is quarantined: 7 workers."""
        told = {
            'tooncrafter_queue_engine_jobs{engine="tooncrafter"': 6,
            'tooncrafter_queue_engine_jobs{engine="preview"': 3,
            'tooncrafter_workers{state="quarantined"': 1,
            'tooncrafter_workers{state="busy"': 2,
            'tooncrafter_workers{state="paused"': 0,
        }
        series = [
            {
                "series": f'{name},instance="{one}"}}',
                "values": str(value),
            }
            for name, value in told.items()
            for one in ("dispatcher-1", "dispatcher-2")
        ]
        expected = {
            "expr": scaling_query(),
            "eval_time": "0s",
            "exp_samples": [{"labels": "{}", "value": 7}],
        }
        path = tmp_path / "test.yml"
        path.write_text(
            json.dumps({"tests": [{"input_series": series, "promql_expr_test": [expected]}]})
        )
        checked = subprocess.run(
            ["promtool", "test", "rules", path], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr

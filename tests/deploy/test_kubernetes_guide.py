"""docs/kubernetes.md against the manifests, the settings and the code: every name in it is one."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings
from testkit.kubernetes import DEPLOYMENTS, FOLDER, VALIDATE, pod, settings_of_the_cluster, the

ROOT = FOLDER.parents[1]
GUIDE = (ROOT / "docs" / "kubernetes.md").read_text()


def files() -> dict[str, str]:
    """The files that the guide shows, by the name in their first line."""
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", GUIDE, re.DOTALL | re.MULTILINE)
    return {
        (text := textwrap.dedent(block)).split("\n", 1)[0].removeprefix("# "): text
        for block in blocks
    }


def shown(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files()[name])
    return found


def test_every_setting_is_one() -> None:
    named = set(re.findall(r"TOONCRAFTER_[A-Z0-9_]+", GUIDE))
    assert named <= {f"TOONCRAFTER_{name.upper()}" for name in Settings.model_fields}


def test_every_file_is_there() -> None:
    linked = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", GUIDE)
    named = re.findall(r"\b(?:deploy/kubernetes|monitoring)/[\w./-]+\w|Dockerfile\.\w+", GUIDE)
    assert named
    missing = [link for link in linked if not (ROOT / "docs" / link).exists()]
    assert missing + [name for name in named if not (ROOT / name).exists()] == []


def test_every_command_is_a_module() -> None:
    modules = set(re.findall(r"python -m ([\w.]+)", GUIDE))
    assert {"admin", "model.checkpoint"} <= modules
    for name in modules:
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


def test_secrets_are_those_that_the_pods_ask_for() -> None:
    """A pod whose secret has another name never starts."""
    made = set(re.findall(r"create secret generic ([\w-]+)", GUIDE))
    asked = {
        part["secretRef"]["name"]
        for name in DEPLOYMENTS
        for part in pod(name)["containers"][0]["envFrom"][1:]
    }
    asked |= {
        volume["secret"]["secretName"]
        for name in DEPLOYMENTS
        for volume in pod(name)["volumes"]
        if "secret" in volume
    }
    assert made == asked


def test_weights_come_where_the_workers_look() -> None:
    filler = shown("fill-weights.yaml")["spec"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in filler["volumes"]]
    assert claims == [the("PersistentVolumeClaim", "weights")["metadata"]["name"]]
    assert settings_of_the_cluster()["TOONCRAFTER_MODEL"] in re.findall(
        r"convert \S+ (\S+)\n", GUIDE
    )


def test_prometheus_finds_every_process() -> None:
    """One that it does not scrape is a gap in the dashboards; without the dispatchers nothing
    scales.
    """
    monitor = shown("podmonitor.yaml")["spec"]
    (label,) = monitor["selector"]["matchLabels"].items()
    (endpoint,) = monitor["podMetricsEndpoints"]
    for name in DEPLOYMENTS:
        template = the("Deployment", name)["spec"]["template"]
        assert label in template["metadata"]["labels"].items()
        assert endpoint["port"] in {
            port["name"] for port in template["spec"]["containers"][0]["ports"]
        }


def test_numbers_are_those_of_the_manifests() -> None:
    scaled = the("ScaledObject", "worker")["spec"]
    for name in ("minReplicaCount", "maxReplicaCount"):
        assert f"| `{name}` | {scaled[name]} |" in GUIDE
    assert f"| `threshold` | {scaled['triggers'][0]['metadata']['threshold']} |" in GUIDE
    assert f"| `fallback` | {scaled['fallback']['replicas']} |" in GUIDE
    assert f"asks Prometheus every {scaled['pollingInterval']} s" in GUIDE
    grace = settings_of_the_cluster()["TOONCRAFTER_SHUTDOWN_GRACE"]
    assert f"{pod('worker')['terminationGracePeriodSeconds']} s: {grace} s" in GUIDE


@pytest.mark.skipif(not VALIDATE.exists(), reason="`make setup-tests` installs it")
def test_schemas_know_every_field_of_what_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(yaml.safe_dump_all([shown("fill-weights.yaml"), shown("ingress.yaml")]))
    checked = subprocess.run(
        [VALIDATE, "--strict", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(
    not shutil.which("kubectl"), reason="kubectl builds overlays, and nothing here installs it"
)
def test_overlay_builds_and_changes_what_it_says(tmp_path: Path) -> None:
    """With kustomize itself, beside a copy of the manifests, as the guide has it."""
    shutil.copytree(FOLDER, tmp_path / "tooncrafter" / "deploy" / "kubernetes")
    (tmp_path / "mine").mkdir()
    for name in ("kustomization.yaml", "ingress.yaml"):
        (tmp_path / "mine" / name).write_text(files()[name])
    built = subprocess.run(
        ["kubectl", "kustomize", tmp_path / "mine"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    parts = {
        (part["kind"], part["metadata"]["name"]): part for part in yaml.safe_load_all(built.stdout)
    }
    assert parts["ScaledObject", "worker"]["spec"]["maxReplicaCount"] == 24
    (settings,) = [part["data"] for (kind, _), part in parts.items() if kind == "ConfigMap"]
    assert (
        settings.items()
        > {
            key: value for key, value in settings_of_the_cluster().items() if "BUCKET" not in key
        }.items()
    )
    assert settings["TOONCRAFTER_S3_BUCKET"] == "studio-inbetween"
    images = {
        parts["Deployment", name]["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in DEPLOYMENTS
    }
    assert images == {
        f"registry.studio.example/tooncrafter-{name}:0.1.0" for name in ("api", "worker")
    }

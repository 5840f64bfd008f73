"""The manifests under `deploy/kubernetes`, parsed."""

from typing import Any

import yaml

from testkit.servers import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
VALIDATE = ROOT / ".venv" / "checkers" / "bin" / "kubernetes-validate"
# of KEDA and the Prometheus operator: no schema here
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}
DEPLOYMENTS = ("gateway", "dispatcher", "webhooks", "worker", "preview")


def manifests() -> list[dict[str, Any]]:
    names = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [part for name in names for part in yaml.safe_load_all((FOLDER / name).read_text())]


def the(kind: str, name: str) -> dict[str, Any]:
    found = [
        part for part in manifests() if (part["kind"], part["metadata"]["name"]) == (kind, name)
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = the("Deployment", name)["spec"]["template"]["spec"]
    return spec


def settings_of_the_cluster() -> dict[str, str]:
    generators = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generators[0]["literals"])

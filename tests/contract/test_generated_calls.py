"""A machine that knows only the contract calls a gateway that runs: every answer is one that the
contract names.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from testkit.contract.deployment import Deployment, deployment
from testkit.contract.run import BY_CHANCE, Report, generated_calls
from testkit.servers import ROOT

CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    "object_level_authorization",
    "events_are_whole",
}


@pytest.fixture
def running(short_folder: Path) -> Iterator[Deployment]:
    with deployment(short_folder) as running:
        yield running


def assert_contract_is_kept(report: Report, running: Deployment) -> None:
    """No call was answered otherwise than the contract says, and none with 5xx."""
    assert report.passed, report.text
    assert report.followed >= 20, report
    assert not [answer for answer in report.answers if answer[1] >= 500]
    assert "unexpected error" not in running.gateway.output


@pytest.mark.long
def test_calls_by_chance_keep_the_contract(running: Deployment, tmp_path: Path) -> None:
    """Good and bad calls of two tenants, alone and in chains of links: no 5xx, nothing
    undocumented, no foreign job.
    """
    report = generated_calls(
        running, tmp_path, "--seed=1", "--no-shrink", "--max-examples=15", phases=BY_CHANCE
    )
    assert_contract_is_kept(report, running)
    assert report.cases.total() >= 400, report


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_edge_of_the_contract_is_kept(running: Deployment, tmp_path: Path) -> None:
    """Each operation succeeds, and each check of the tool has looked at an answer."""
    report = generated_calls(running, tmp_path, "--seed=1", "--no-shrink")
    assert_contract_is_kept(report, running)
    assert report.cases.total() >= 4_000, report
    assert report.checks.keys() == CHECKS
    succeeded = {operation for operation, status in report.answers if status < 300}
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    assert succeeded == {
        f"{method.upper()} {path}" for path, item in paths.items() for method in item
    }

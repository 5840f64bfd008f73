"""`make audit`: what it says of a version with a known hole, of one without, and where nobody can
be asked.
"""

import http.server
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import audit
from testkit.web import answering

NOBODY = "http://127.0.0.1:1/v1/query"
HOLE = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "It lets everybody in.",
    "affected": [
        {
            "package": {"name": "bad", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Advisories(http.server.BaseHTTPRequestHandler):
    """As OSV answers: `bad` has a hole, `broken` cannot be looked up, all else is fine."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
        body = json.dumps({"vulns": [HOLE]} if asked == "bad" else {}).encode()
        self.send_response(500 if asked == "broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def advisories(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not audit.PIP_AUDIT.exists():
        reason = "no pip-audit: `make setup-tests` installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with answering(Advisories) as address:
        yield f"http://{address}/v1/query"


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    file = tmp_path / "constraints.txt"
    file.write_text("# of this test\nfine==2.0\n")
    return file


def test_nothing_is_known(
    advisories: str, versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.main([str(versions), "--osv-url", advisories])
    assert capsys.readouterr().out == "audit: no known hole in constraints.txt\n"


def test_a_hole_fails_and_says_what_closes_it(
    advisories: str, versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    versions.write_text("bad==1.0\nfine==2.0\n")
    with pytest.raises(SystemExit, match="1 known hole"):
        audit.main([str(versions), "--osv-url", advisories])
    assert capsys.readouterr().out == "audit: bad 1.0: GHSA-aaaa-bbbb-cccc, fixed in 1.1\n"


def test_what_could_not_be_looked_up_is_not_fine(advisories: str, versions: Path) -> None:
    versions.write_text("fine==2.0\nbroken==1.0\n")
    with pytest.raises(SystemExit, match=r"pip-audit failed on constraints\.txt"):
        audit.main([str(versions), "--osv-url", advisories])


def test_without_a_network_it_says_so_in_a_line_and_is_content(
    versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.main([str(versions), "--osv-url", NOBODY])
    assert (
        capsys.readouterr().out
        == f"audit: {NOBODY} is not reached from here: nobody looked for known holes\n"
    )

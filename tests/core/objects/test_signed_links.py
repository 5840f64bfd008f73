"""Links to a folder's objects: what they permit, and nothing else."""

import stat
import threading
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from core.errors import Forbidden, Unavailable
from core.objects.signed_links import PATH, SignedLinks

KEY = "jobs/itp_1/outputs/1/video.mp4"
HOUR = timedelta(hours=1)


@pytest.fixture
def links(tmp_path: Path) -> SignedLinks:
    return SignedLinks(tmp_path / "state" / "links.secret")


def parts(link: str) -> tuple[str, dict[str, str]]:
    """Key and query of a link."""
    address = urlsplit(link)
    return address.path.removeprefix(PATH), {
        name: values[0] for name, values in parse_qs(address.query).items()
    }


def test_it_permits_what_it_was_made_for(links: SignedLinks) -> None:
    """To read with this content type, or to write."""
    for method, content_type in (("GET", "video/mp4"), ("PUT", "")):
        key, fields = parts(links.sign(method, KEY, HOUR, content_type))
        assert key == KEY
        links.check(method, key, fields)


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "99999999999"},
        {"expires": ""},
        {"content_type": "text/html"},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "ü"},
    ],
)
def test_it_cannot_be_bent(links: SignedLinks, change: dict[str, str]) -> None:
    """Neither its time, nor its content type, nor its signature."""
    key, fields = parts(links.sign("GET", KEY, HOUR, "video/mp4"))
    with pytest.raises(Forbidden, match="signature"):
        links.check("GET", key, fields | change)


@pytest.mark.parametrize(
    ("method", "key"),
    [("PUT", KEY), ("GET", "jobs/itp_2/outputs/1/video.mp4"), ("GET", f"{KEY}/../a")],
)
def test_it_permits_nothing_else(links: SignedLinks, method: str, key: str) -> None:
    """No other object, and no writing where reading was meant."""
    _, fields = parts(links.sign("GET", KEY, HOUR))
    with pytest.raises(Forbidden, match="signature"):
        links.check(method, key, fields)


def test_it_ends(links: SignedLinks) -> None:
    """An expired link is refused as expired."""
    _, fields = parts(links.sign("GET", KEY, timedelta(seconds=-1)))
    with pytest.raises(Forbidden, match="expired"):
        links.check("GET", KEY, fields)


def test_processes_on_one_folder_share_the_secret(tmp_path: Path) -> None:
    """Whichever of them is first, even at the same moment; and no other user reads it."""
    secret = tmp_path / "links.secret"
    gateways = [SignedLinks(secret) for _ in range(8)]
    signed: list[str] = []
    starts = [
        threading.Thread(target=lambda one=one: signed.append(one.sign("GET", KEY, HOUR)))
        for one in gateways
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    for link in signed:
        for gateway in gateways:
            gateway.check("GET", *parts(link))
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["links.secret"]


def test_another_deployment_makes_other_links(links: SignedLinks, tmp_path: Path) -> None:
    """The secret is made by chance."""
    other = SignedLinks(tmp_path / "other" / "links.secret")
    with pytest.raises(Forbidden):
        other.check("GET", *parts(links.sign("GET", KEY, HOUR)))


def test_folder_that_takes_no_secret(tmp_path: Path) -> None:
    """The storage is away, not the caller wrong; no path is told."""
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as refused:
        SignedLinks(tmp_path / "file" / "links.secret").sign("GET", KEY, HOUR)
    assert str(tmp_path) not in refused.value.detail

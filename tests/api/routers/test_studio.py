"""The studio's files: served without a key, small, and closed to everything from elsewhere."""

import re
import tomllib

import pytest
from httpx import AsyncClient

from api.main import create_app
from api.routers.studio import FILES
from core.settings import Settings
from testkit.api.gateway import gateway
from testkit.servers import ROOT

FOLDER = ROOT / "api" / "studio"
MOST_BYTES = 200_000  # all files together, the font and the examples included


def directives(policy: str) -> dict[str, list[str]]:
    parts = (part.split() for part in policy.split(";"))
    return {name: values for name, *values in parts}


async def test_page_needs_no_key(public: AsyncClient) -> None:
    """The page asks for the key itself, so it has to come without one."""
    for path in ("/", "/studio/script/main.js"):
        assert (await public.get(path)).status_code == 200
    assert (await public.get("/v1/queue")).status_code == 401


async def test_every_address_in_the_files_leads_to_a_file(client: AsyncClient) -> None:
    """Imports, styles and pictures; nothing points at another host."""
    html = (await client.get("/")).text
    named = re.findall(r'(?:src|href)="(studio/[^"]+)"', html)
    assert len(named) > 5
    for name, file in FILES.items():
        if name.endswith(".js") and not name.startswith("vendor/"):
            for target in re.findall(r"from '(\.[^']+)'", file.content.decode()):
                named.append(
                    "/studio/"
                    + str((FOLDER / name).parent.joinpath(target).resolve()).removeprefix(
                        f"{FOLDER}/"
                    )
                )
    for target in named:
        assert (await client.get(target)).status_code == 200, target


def test_no_other_host_is_named() -> None:
    """The page works in a building without the Internet."""
    for name, file in FILES.items():
        if name.endswith((".js", ".css", ".html")) and not name.startswith("vendor/"):
            assert not re.search(rb"""\bhttps?:|['"`(]//""", file.content), name


def test_all_files_together_are_small() -> None:
    assert sum(len(file.content) for file in FILES.values()) < MOST_BYTES


async def test_policy_allows_own_scripts_alone(client: AsyncClient) -> None:
    """No inline script, no `eval`, no frame around it, no form that leads away."""
    policy = directives((await client.get("/")).headers["content-security-policy"])
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == ["'none'"]
    assert policy["media-src"] == ["'self'", "blob:"]


async def test_policy_names_where_results_are_stored(s3_settings: Settings) -> None:
    """A `<video>` follows the presigned link of a bucket, on the bucket's own host."""
    address = s3_settings.s3_endpoint_url
    assert address
    async with gateway(s3_settings) as client:
        policy = directives((await client.get("/")).headers["content-security-policy"])
    origin = str(address).rstrip("/")
    assert policy["media-src"] == ["'self'", origin, "blob:"]
    assert origin not in policy["script-src"]


async def test_policy_names_the_public_address(settings: Settings) -> None:
    """Links of results are built on it, whichever name the page was opened under."""
    behind = settings.model_validate(
        {**settings.model_dump(), "public_url": "https://toon.example/studio"}
    )
    async with gateway(behind) as client:
        policy = directives((await client.get("/")).headers["content-security-policy"])
    assert policy["media-src"] == ["'self'", "https://toon.example", "blob:"]


async def test_file_is_sent_again_only_if_it_changed(client: AsyncClient) -> None:
    """Each visit asks, so that files of two releases never meet."""
    first = await client.get("/studio/script/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get(
        "/studio/script/main.js", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/studio/", "/studio/../main.py", "/studio/%2e%2e/main.py"])
async def test_nothing_else_is_served(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


def test_page_is_no_part_of_the_contract(settings: Settings) -> None:
    """Callers' generated clients have no use for it."""
    assert not [path for path in create_app(settings).openapi()["paths"] if "studio" in path]


def test_a_wheel_has_every_file() -> None:
    """Wheels and images hold of a package what `package-data` names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["api"]
    shipped = {path for pattern in patterns for path in (ROOT / "api").glob(pattern)}
    files = {path for path in FOLDER.rglob("*") if path.is_file()}
    assert files <= shipped
    assert {str(path.relative_to(FOLDER)) for path in files} == set(FILES)

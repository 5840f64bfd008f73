"""The contract in both formats, and the pages about error codes."""

from typing import Any

import yaml
from httpx import AsyncClient


async def test_contract_as_yaml(client: AsyncClient, document: dict[str, Any]) -> None:
    """As the file in the repository has it."""
    answer = await client.get("/openapi.yaml")
    assert answer.headers["content-type"].startswith("application/yaml")
    assert yaml.safe_load(answer.text) == document


async def test_page_of_invalid_request_names_the_member(client: AsyncClient) -> None:
    """Where a caller finds what is wrong."""
    page = (await client.get("/errors/invalid_request")).text
    for word in ("`errors`", "`pointer`", "`code`", "`detail`"):
        assert word in page


async def test_page_of_internal_is_that_of_the_service(client: AsyncClient) -> None:
    """A failed job has the same code as a request that met a mistake."""
    assert (await client.get("/errors/internal")).text.startswith("internal: Something went wrong")


async def test_no_other_file_of_the_package(client: AsyncClient) -> None:
    assert (await client.get("/docs/../docs/start.js")).status_code == 200
    assert (await client.get("/docs/swagger-ui.css.map")).status_code in (404, 422)

"""Requests as Prometheus sees them."""

from httpx import AsyncClient

from core.telemetry.metrics import REQUEST_SECONDS, REQUESTS, REQUESTS_IN_FLIGHT


def count(method: str, route: str, status: int) -> float:
    return REQUESTS.labels(method, route, str(status))._value.get()


async def test_paths_are_counted_by_their_template(client: AsyncClient) -> None:
    """A label for each id would fill Prometheus's memory."""
    route = "/v1/interpolations/{job_id}"
    before = count("GET", route, 404)
    for number in range(3):
        await client.get(f"/v1/interpolations/itp_{number:026d}")
    assert count("GET", route, 404) == before + 3


async def test_invented_paths_share_one_label(client: AsyncClient) -> None:
    before = count("GET", "none", 404)
    await client.get("/invented/by/somebody")
    await client.get("/and/another")
    assert count("GET", "none", 404) == before + 2


async def test_invented_methods_share_one_label(client: AsyncClient) -> None:
    before = len(next(iter(REQUEST_SECONDS.collect())).samples)
    await client.request("BREW", "/healthz")
    await client.request("STEEP", "/healthz")
    samples = next(iter(REQUEST_SECONDS.collect())).samples
    assert {sample.labels["method"] for sample in samples} <= {
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "other",
    }
    assert len(samples) >= before


async def test_nothing_stays_in_flight(client: AsyncClient) -> None:
    await client.get("/healthz")
    assert REQUESTS_IN_FLIGHT._value.get() == 0


async def test_documented_answers_start_at_zero(client: AsyncClient) -> None:
    """Prometheus sees no increase in a series whose first sample is 1."""
    shown = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"])
        for sample in next(iter(REQUESTS.collect())).samples
    }
    jobs = "/v1/interpolations"
    assert {("POST", jobs, status) for status in ("202", "413", "422", "429", "503")} <= shown
    assert {("GET", f"{jobs}/{{job_id}}", "404"), ("GET", "/readyz", "503")} <= shown

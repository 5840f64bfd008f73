"""The port for those who run the service."""

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from core.settings import Settings
from core.telemetry.server import serve_metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("tooncrafter_example_total", "An example.", registry=registry).inc(3)
    return registry


@pytest.fixture
def on_a_free_port(settings: Settings) -> Settings:
    return settings.model_copy(update={"metrics_port": 0})


def test_scrape_shows_the_registry(on_a_free_port: Settings, registry: CollectorRegistry) -> None:
    server = serve_metrics(on_a_free_port, registry, lambda: True)
    assert server
    answer = httpx.get(f"http://127.0.0.1:{server.server_port}/metrics")
    assert "tooncrafter_example_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    server.shutdown()
    server.server_close()


def test_readiness_is_told_apart_from_life(
    on_a_free_port: Settings, registry: CollectorRegistry
) -> None:
    """A worker that loads its model lives, but takes no job yet."""
    server = serve_metrics(on_a_free_port, registry, lambda: False)
    assert server
    statuses = {
        path: httpx.get(f"http://127.0.0.1:{server.server_port}{path}").status_code
        for path in ("/healthz", "/readyz", "/anything")
    }
    assert statuses == {"/healthz": 200, "/readyz": 503, "/anything": 404}
    server.shutdown()
    server.server_close()


def test_nothing_listens_where_no_port_is_set(
    settings: Settings, registry: CollectorRegistry
) -> None:
    assert serve_metrics(settings, registry, lambda: True) is None

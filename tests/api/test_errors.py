"""Every error has one form, an id, and nothing that an outsider should not see."""

import json
import signal
import time
from pathlib import Path

import pytest
from httpx import AsyncClient

from core import errors
from core.errors import ServiceError
from core.objects.s3 import HURRIED
from core.records.ids import new_job_id
from core.settings import Settings
from core.store.redis_keys import JOB
from core.telemetry.logging import configure_logging
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway
from testkit.servers import RedisServer, S3Server, free_port


class TestForm:
    @pytest.mark.parametrize(
        "path", ["/v0", "/v1", "/v2/interpolations", "/v1/interpolations/x/y/z", "/errors/none"]
    )
    async def test_unknown_address(self, client: AsyncClient, path: str) -> None:
        """404 of the framework included."""
        assert problems(await client.get(path), 404, "not_found") == {}

    async def test_wrong_method(self, client: AsyncClient) -> None:
        """With all methods that there are."""
        response = await client.put(URL)
        assert problems(response, 405, "method_not_allowed") == {}
        assert response.headers["allow"] == "GET, HEAD, POST"
        assert (await client.post(f"{URL}/{new_job_id()}")).headers["allow"] == "GET, HEAD, DELETE"
        assert (await client.get(f"{URL}/estimate")).headers["allow"] == "POST"

    async def test_mistake_of_ours(
        self, client: AsyncClient, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Here a record that no version of the service wrote: the caller hears an id, the log has
        the rest.
        """
        configure_logging("info", "json")
        job_id = (await client.post(URL, files=files())).json()["id"]
        redis_server.client.hset(JOB + job_id, mapping={"request": "{broken", "version": 2})
        response = await client.get(f"{URL}/{job_id}", headers={"X-Request-ID": "find-me"})
        assert problems(response, 500, "internal") == {}
        assert "broken" not in response.text
        assert "Traceback" not in response.text
        logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        (trace,) = [line for line in logged if "JSONDecodeError" in line.get("exception", "")]
        assert trace["request_id"] == "find-me"

    async def test_every_code_has_its_page(self, client: AsyncClient) -> None:
        """What `type` points at."""
        kinds = [
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, ServiceError)
        ]
        for code in {kind.code for kind in kinds}:
            page = await client.get(f"/errors/{code}")
            assert page.status_code == 200
            assert page.text.startswith(code)

    @pytest.mark.parametrize("sent", ["shot-12a", "4bf92f35-77b3:4da6", "a" * 128])
    async def test_request_id_is_taken_over(self, client: AsyncClient, sent: str) -> None:
        """A studio's own id finds the request in our log."""
        response = await client.get("/nowhere", headers={"X-Request-ID": sent})
        assert response.headers["x-request-id"] == response.json()["request_id"] == sent

    @pytest.mark.parametrize(
        "sent", ["", "a b", "a" * 129, 'x"},{"', "ü".encode("latin-1"), b"a\x1b[2J"]
    )
    async def test_odd_request_id_is_replaced(self, client: AsyncClient, sent: str | bytes) -> None:
        """It is logged and sent back, so not everything may stand in it."""
        response = await client.get("/healthz", headers={"X-Request-ID": sent})
        assert response.headers["x-request-id"] not in ("", sent)


class TestAway:
    """The bounds are generous; callers are promised about a second."""

    async def test_healthy(self, any_client: AsyncClient) -> None:
        """Alive, and ready to serve."""
        assert (await any_client.get("/healthz")).json() == {"status": "alive"}
        assert (await any_client.get("/readyz")).json() == {"status": "ready"}

    async def test_nothing_is_stored_while_redis_is_away(
        self, mortal_redis: RedisServer, settings: Settings
    ) -> None:
        """Objects of a job that never was would stay for ever."""
        async with gateway(settings.model_copy(update={"redis_url": mortal_redis.url})) as client:
            mortal_redis.kill()
            assert (await client.post(URL, files=files())).status_code == 503
        assert not list(settings.state_dir.rglob("jobs/*"))

    async def test_folder(
        self, settings: Settings, redis_server: RedisServer, tmp_path: Path
    ) -> None:
        """Root may write everywhere, but not below a file; the answer hides the path."""
        (tmp_path / "file").touch()
        async with gateway(settings.model_copy(update={"state_dir": tmp_path / "file"})) as client:
            ready = await client.get("/readyz")
            submitted = await client.post(URL, files=files())
        for response in (ready, submitted):
            assert problems(response, 503, "unavailable") == {}
            assert "storage" in response.json()["detail"]
            assert str(tmp_path) not in response.text
        # in the trash objects are noted until they are known to be gone
        assert redis_server.client.keys() in ([], ["tc:trash"])

    async def test_bucket(self, s3_settings: Settings, redis_server: RedisServer) -> None:
        """No server there."""
        gone = s3_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
        async with gateway(gone) as client:
            for response in (await client.get("/readyz"), await client.post(URL, files=files())):
                assert problems(response, 503, "unavailable") == {}
                assert "storage" in response.json()["detail"]
                secrets = (
                    gone.s3_endpoint_url,
                    gone.s3_access_key_id,
                    gone.s3_secret_access_key.get_secret_value(),
                )
                assert not any(secret in response.text for secret in secrets)
        # in the trash objects are noted until they are known to be gone
        assert redis_server.client.keys() in ([], ["tc:trash"])

    async def test_bucket_that_does_not_answer(
        self, s3_settings: Settings, s3_server: S3Server
    ) -> None:
        """A probe that hangs is worse than one that fails."""
        async with gateway(s3_settings) as client:
            s3_server.process.send(signal.SIGSTOP)
            try:
                begun = time.monotonic()
                response = await client.get("/readyz")
                assert time.monotonic() - begun < 5
            finally:
                s3_server.process.send(signal.SIGCONT)
            assert problems(response, 503, "unavailable") == {}
            assert "storage" in response.json()["detail"]
            assert json.loads((await client.get("/readyz")).text) == {"status": "ready"}

    async def test_submission_to_a_bucket_that_does_not_answer(
        self, s3_settings: Settings, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The caller hears of it within seconds, may repeat the same call, and nothing is left that
        counts as a job.
        """
        brief = HURRIED._replace(read_seconds=0.5)
        monkeypatch.setattr("api.main.HURRIED", brief)
        async with gateway(s3_settings) as client:
            s3_server.process.send(signal.SIGSTOP)
            try:
                begun = time.monotonic()
                response = await client.post(
                    URL, files=files(), headers={"Idempotency-Key": "once"}
                )
                # to store, and to tidy up, on a slow machine
                assert time.monotonic() - begun < 2 * brief.read_seconds + 6
            finally:
                s3_server.process.send(signal.SIGCONT)
            assert problems(response, 503, "unavailable") == {}
            assert int(response.headers["retry-after"]) > 0
            again = await client.post(URL, files=files(), headers={"Idempotency-Key": "once"})
            assert (again.status_code, "idempotent-replayed" in again.headers) == (202, False)
            assert len((await client.get(URL)).json()["data"]) == 1

    async def test_redis_at_its_memory_limit(
        self, mortal_redis: RedisServer, settings: Settings
    ) -> None:
        """What needs no memory goes on; what does is refused with 503, and taken when there is room
        again.
        """
        async with gateway(settings.model_copy(update={"redis_url": mortal_redis.url})) as client:
            job_id = (await client.post(URL, files=files())).json()["id"]
            mortal_redis.client.config_set("maxmemory", 1)
            refused = await client.post(URL, files=files())
            assert problems(refused, 503, "unavailable") == {}
            assert "OOM" in refused.json()["detail"]
            assert problems(await client.post("/v1/uploads"), 503, "unavailable") == {}
            assert (await client.get(f"{URL}/{job_id}")).status_code == 200
            mortal_redis.client.config_set("maxmemory", 0)
            assert (await client.post(URL, files=files())).status_code == 202

    async def test_redis_that_only_reads(
        self, mortal_redis: RedisServer, settings: Settings
    ) -> None:
        """As after a failover that left the old master's address to a replica."""
        async with gateway(settings.model_copy(update={"redis_url": mortal_redis.url})) as client:
            mortal_redis.client.replicaof("127.0.0.1", 1)
            assert problems(await client.post(URL, files=files()), 503, "unavailable") == {}
            mortal_redis.client.replicaof("NO", "ONE")
            assert (await client.post(URL, files=files())).status_code == 202

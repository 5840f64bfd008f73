"""What the last jobs took, and what the next one will take."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NumericalFailure
from core.records.ids import new_job_id
from core.records.job import Timing
from core.records.request import Quality
from core.store import redis_keys
from core.store.forecast import (
    KEPT_RUNS,
    RecentRun,
    decodings_of,
    expected_seconds,
    maker_of,
    recent_run,
    typical_seconds,
)
from core.store.roles.worker import Claim, WorkerStore
from testkit.jobs import MODEL, generation_request
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs

TTL = timedelta(hours=1)
TIMING = Timing(
    run_seconds=12.0,
    denoise_seconds=9.0,
    decode_seconds=2.0,
    encode_seconds=0.4,
    upload_seconds=0.6,
)


def run(steps: int = 10, width: int = 512, height: int = 320, slowness: float = 1.0) -> RecentRun:
    """On a device that needs 1 s for a pass over 512x320, 5 s to decode it, and 2 s for the
    rest.
    """
    share = width * height / (512 * 320)
    denoise, decode = 2 * steps * share * slowness, 5 * share * slowness
    timing = Timing(
        run_seconds=denoise + decode + 2 * slowness, denoise_seconds=denoise, decode_seconds=decode
    )
    return recent_run(generation_request(steps=steps, width=width, height=height), timing, MODEL)


class TestExpectation:
    @given(st.integers(1, 120), st.sampled_from([(128, 128), (512, 320), (1024, 1024)]))
    def test_scales_with_passes_and_pixels(self, passes: int, canvas: tuple[int, int]) -> None:
        """Known from runs of another length on another canvas."""
        runs = [run(steps=10), run(steps=50), run(steps=20, width=256)]
        width, height = canvas
        share = width * height / (512 * 320)
        expected = expected_seconds(runs, passes=passes, pixels=width * height)
        assert expected == pytest.approx(passes * share + 5 * share + 2, abs=0.01)

    def test_a_draft_is_decoded_once(self) -> None:
        """So half of a final's decoding is expected, and a draft's own run tells as much."""
        final = generation_request(steps=10, width=512, height=320)
        draft = final.model_copy(update={"quality": Quality.DRAFT})
        assert (decodings_of(final), decodings_of(draft)) == (2, 1)
        timing = Timing(run_seconds=24.5, denoise_seconds=20.0, decode_seconds=2.5)
        for known in (run(), recent_run(draft, timing, MODEL)):
            expected = expected_seconds([known], passes=20, pixels=512 * 320, decodings=1)
            assert expected == pytest.approx(20 + 2.5 + 2)

    def test_runs_of_versions_without_drafts_were_decoded_twice(self) -> None:
        known = RecentRun.model_validate(run().model_dump(exclude={"decodings"}))
        expected = expected_seconds([known], passes=20, pixels=512 * 320)
        assert expected == pytest.approx(20 + 5 + 2)

    def test_one_slow_run_moves_nothing(self) -> None:
        """It shared its device with another process."""
        runs = [*[run()] * 4, run(slowness=50.0)]
        assert expected_seconds(runs, passes=20, pixels=512 * 320) == pytest.approx(27.0)

    def test_runs_of_the_same_canvas_count_alone(self) -> None:
        """Attention grows faster than the pixels: a large canvas is slower than small ones would
        have it.
        """
        small, large = [run(width=256)] * 9, [run(slowness=3.0)] * 3
        assert expected_seconds([*small, *large], passes=20, pixels=512 * 320) == pytest.approx(
            81.0
        )
        assert expected_seconds([*small, *large[:2]], passes=20, pixels=512 * 320) == pytest.approx(
            27.0
        )

    def test_nothing_is_known_before_the_first_run(self) -> None:
        """And no number is made up."""
        assert expected_seconds([], passes=100, pixels=512 * 320) is None
        assert typical_seconds([]) is None

    def test_guidance_doubles_the_passes(self) -> None:
        """Each step asks the model twice, unless guidance is off."""
        unguided = recent_run(generation_request(steps=10, guidance_scale=1.0), TIMING, MODEL)
        assert (run(steps=10).passes, unguided.passes) == (20, 10)

    def test_typical_job_is_the_one_in_the_middle(self) -> None:
        """Whatever it asked for."""
        assert typical_seconds([run(steps=1), run(steps=10), run(steps=50)]) == pytest.approx(27.0)


class TestNote:
    async def submit_and_claim(self, store: WorkerStore, gateway: TenantJobs) -> Claim:
        await gateway.submit(
            new_job_id(), generation_request(), metadata={}, ttl=TTL, request_id=""
        )
        claim = store.claim("gpu-1:7")
        assert claim is not None
        return claim

    def noted(self, redis_server: RedisServer) -> list[RecentRun]:
        return [
            RecentRun.model_validate_json(entry)
            for entry in redis_server.client.lrange(redis_keys.RUNS, 0, -1)
        ]

    async def test_commit_of_a_job_notes_what_it_took(
        self, store: WorkerStore, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """Once, even where the answer was lost and the commit is told again."""
        claim = await self.submit_and_claim(store, async_store)
        for _ in range(2):
            store.succeed(claim, [], TIMING, MODEL)
        (noted,) = self.noted(redis_server)
        assert (noted.denoise, noted.decode, noted.rest, noted.seconds) == (9.0, 2.0, 1.0, 12.0)
        assert (noted.passes, noted.pixels) == (8, 128 * 128)
        assert noted.maker == maker_of(MODEL)

    async def test_failed_and_canceled_jobs_tell_nothing(
        self, store: WorkerStore, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """They ended somewhere on the way."""
        store.fail(
            await self.submit_and_claim(store, async_store), NumericalFailure("NaN"), TIMING, MODEL
        )
        store.end_canceled(await self.submit_and_claim(store, async_store), TIMING, MODEL)
        assert self.noted(redis_server) == []

    async def test_only_the_last_runs_are_kept(
        self, store: WorkerStore, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """The newest first; Redis does not grow with the jobs that were ever run."""
        redis_server.client.rpush(redis_keys.RUNS, *[run().model_dump_json()] * KEPT_RUNS)
        store.succeed(await self.submit_and_claim(store, async_store), [], TIMING, MODEL)
        noted = self.noted(redis_server)
        assert len(noted) == KEPT_RUNS
        assert noted[0].seconds == 12.0

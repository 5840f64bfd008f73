"""The states of a job and its identifiers."""

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from core.objects.object_keys import input_key, job_prefix, output_key
from core.records.base import from_milliseconds
from core.records.ids import JOB_ID_PATTERN, new_job_id
from core.records.job import TRANSITIONS, JobState
from testkit.jobs import generation_request

ALLOWED = {
    ("queued", "running"),
    ("queued", "canceled"),
    ("running", "queued"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "canceled"),
}


class TestStates:
    @pytest.mark.parametrize("before", JobState)
    @pytest.mark.parametrize("after", JobState)
    def test_transitions_are_those_that_the_contract_draws(
        self, before: JobState, after: JobState
    ) -> None:
        """The table in the code against the picture in the API's description."""
        assert (after in TRANSITIONS[before]) == ((before.value, after.value) in ALLOWED)

    def test_three_states_are_final(self) -> None:
        """An ended job never changes again."""
        assert {state.value for state in JobState if state.is_final} == {
            "succeeded",
            "failed",
            "canceled",
        }


class TestIds:
    def test_ids_fit_their_pattern_and_sort_by_age(self) -> None:
        """Listing newest first needs no index beside the id; within a millisecond the order is
        free.
        """
        ids = [new_job_id() for _ in range(200)]
        assert all(re.match(JOB_ID_PATTERN, job_id) for job_id in ids)
        assert len(set(ids)) == len(ids)
        times = [job_id[4:14] for job_id in ids]  # the first ten characters of a ULID are its time
        assert all(earlier <= later for earlier, later in pairwise(times))

    def test_every_object_of_a_job_lies_under_its_prefix(self) -> None:
        """So deleting the prefix leaves nothing behind."""
        job_id = new_job_id()
        image = generation_request().keyframes[0].image
        assert input_key(job_id, image).startswith(job_prefix(job_id))
        assert output_key(job_id, 3, "video.mp4").startswith(job_prefix(job_id))

    def test_attempts_write_under_different_keys(self) -> None:
        """A worker that lost its job cannot overwrite what its successor stored."""
        job_id = new_job_id()
        assert output_key(job_id, 1, "video.mp4") != output_key(job_id, 2, "video.mp4")


def test_times_of_redis_are_utc() -> None:
    """Redis holds milliseconds since the epoch."""
    assert from_milliseconds(1_500) == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)

"""Remember finished segments, so that no attempt and no later job draws them again."""

import hashlib
import json
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import structlog
from redis.exceptions import RedisError

from core.errors import NotFound, Unavailable
from core.objects.body import Check
from core.objects.object_keys import segment_key, segment_prefix
from core.objects.storage import ObjectStorage
from core.records.offer import Engine
from core.records.worker import ModelInfo
from core.store.roles.worker import Claim, WorkerStore
from worker.engines.engine import SegmentFrames, SegmentWork
from worker.frames.framing import Pixels

# Part of every digest; one higher whenever the same work gives other frames or is stored otherwise.
VERSION = 1
# zlib's quickest takes 0.02 to 0.14 s for 16 frames of 512x320 and halves a decoder's noise; PNG
# takes three times as long for a sixth more (2026-11-28).
COMPRESSION = 1
CONTENT_TYPE = "application/zlib"

log = structlog.get_logger("worker")


class _Found(NamedTuple):
    data: bytes
    frames: SegmentFrames


@dataclass
class StoredSegments:
    """The segments of one attempt at a job, and those of the tenant's other jobs.

    Frames are stored below the job, so that they go with it. What is found elsewhere is copied.
    What was drawn is stored beside the drawing of the next segment, one at a time. Trouble with the
    storage or Redis costs time, never the job: the segment is drawn, or is not remembered.

    Args:
        store: knows which job has a segment.
        storage: has the frames.
        claim: the attempt.
        model: that draws.
        quota: of the tenant's segments, in bytes; 0 remembers nothing.
        check: called by any thread while frames are stored; raises to stop.
    """

    store: WorkerStore
    storage: ObjectStorage
    claim: Claim
    model: ModelInfo
    quota: int
    check: Check
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="segments"), init=False
    )
    _keeping: Future[None] | None = field(default=None, init=False)
    # is to be stored next
    _drawn: tuple[str, SegmentFrames] | None = field(default=None, init=False)
    # of the last work
    _digest: tuple[SegmentWork, str] | None = field(default=None, init=False)

    def recall(self, work: SegmentWork) -> SegmentFrames | None:
        """Return the frames of just this work, this job's own or a copy of another one's.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        if not self.quota:
            return None
        digest = self._digest_of(work)
        if self._drawn and self._drawn[0] == digest:
            self.finish_keeping()
        found = self._find(digest, work)
        self._begin_keeping()
        return found and found.frames

    def keep(self, work: SegmentWork, frames: SegmentFrames) -> None:
        """Store what was drawn, beside the drawing of what is recalled next.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        if self.quota:
            self.finish_keeping()
            self._drawn = self._digest_of(work), frames

    def finish_keeping(self) -> None:
        """Return once everything that was drawn is stored; raises what `keep` raises."""
        self._begin_keeping()
        if self._keeping:
            self._keeping.result()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Let an error pass only once what was drawn is stored, or need not be any more."""
        try:
            yield
        except BaseException:
            self._begin_keeping()
            if self._keeping:
                wait([self._keeping])
            raise

    def _begin_keeping(self) -> None:
        """Store in the thread what was drawn last; before that, it has ended the work before."""
        if self._drawn:
            (digest, frames), self._drawn = self._drawn, None
            self._keeping = self._thread.submit(copy_context().run, self._keep, digest, frames)

    def _keep(self, digest: str, frames: SegmentFrames) -> None:
        try:
            self._put(digest, pack(frames))
        except (Unavailable, RedisError) as error:
            log.warning("a segment is not remembered", error=str(error))

    def _find(self, digest: str, work: SegmentWork) -> _Found | None:
        job = self.claim.job
        try:
            if job.fence > 1 and (own := self._read(job.id, digest, work)):
                return own
            owner = self.store.find_segment(self.claim, digest)
            if owner is None or not (job.request.reuse or owner == job.id):
                return None
            found = self._read(owner, digest, work)
            if found and owner != job.id:
                self._put(digest, found.data)
        except (Unavailable, RedisError) as error:
            log.warning("a segment cannot be looked up, it is drawn", error=str(error))
            return None
        return found

    def _digest_of(self, work: SegmentWork) -> str:
        if self._digest is None or self._digest[0] is not work:
            self._digest = work, digest_of(work, self.model)
        return self._digest[1]

    def _read(self, job_id: str, digest: str, work: SegmentWork) -> _Found | None:
        """Return stored frames; None if they are gone or are not what belongs to the work."""
        try:
            data = self.storage.get(segment_key(job_id, digest))
            return _Found(data, unpack(data, work))
        except NotFound:
            return None
        except (zlib.error, ValueError) as error:
            log.warning("stored frames of a segment are broken, it is drawn", error=str(error))
            return None

    def _put(self, digest: str, data: bytes) -> None:
        job_id = self.claim.job.id
        self.storage.put(segment_key(job_id, digest), data, CONTENT_TYPE, self.check)
        dropped = self.store.enter_segment(self.claim, digest, len(data), self.quota)
        for owner, old_digest in dropped:
            self.storage.delete_prefix(segment_prefix(owner, old_digest))


def digest_of(work: SegmentWork, model: ModelInfo) -> str:
    """Return the SHA-256 of everything that decides a segment's frames, in hexadecimal.

    Kinds of devices and ways to compute round differently, so frames are bound to one. The preview
    engine samples nothing, so that prompts, seed and sampling do not count for it.
    """
    facts = {
        "version": VERSION,
        "model": [model.name, model.weights, model.dtype, model.device, *_roundings_of(model)],
        "keys": [_digest_of_pixels(work.first), _digest_of_pixels(work.last)],
        "positions": [str(position) for position in work.positions],
        "sketches": [
            [*place, _digest_of_pixels(sketch)] for place, sketch in sorted(work.sketches.items())
        ],
    }
    if model.engine is not Engine.PREVIEW:
        facts |= {
            "sampling": _facts_of(work),
            "seed": work.seed,
            "prompts": [work.prompt, work.negative_prompt],
        }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _roundings_of(model: ModelInfo) -> list[str]:
    """Return the ways to compute that round otherwise than the usual one, which adds nothing."""
    ways = {"guidance in turns": model.guidance_in_turns, "compiled": model.compiled}
    return [way for way, is_taken in ways.items() if is_taken]


def _facts_of(work: SegmentWork) -> dict[str, float | bool | None]:
    """Return the sampling's settings without those that change nothing."""
    facts = work.sampling.model_dump()
    if not work.sketches:
        facts["sketch_scale"] = None
    if not work.sampling.draft:
        del facts["draft"]
    return facts


def _digest_of_pixels(pixels: Pixels) -> str:
    shape = str(pixels.shape).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def pack(frames: SegmentFrames) -> bytes:
    """Compress a segment's frames, from key to key."""
    whole = np.concatenate([frames.first[None], frames.drawings, frames.last[None]])
    return zlib.compress(whole.tobytes(), COMPRESSION)


def unpack(data: bytes, work: SegmentWork) -> SegmentFrames:
    """Read frames that were drawn for a work.

    Raises:
        ValueError: they have another size.
        zlib.error: the bytes are damaged.
    """
    shape = (len(work.positions) + 2, *work.first.shape)
    whole = np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)
    return SegmentFrames(whole[1:-1], whole[0], whole[-1])

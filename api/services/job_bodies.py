"""Jobs as JSON. One that many ask for is rendered once for each of its states."""

from collections.abc import Callable
from typing import NamedTuple

from api.services.newest import Newest
from core.records.job import QueuedView
from core.records.view import OutputLink, job_view
from core.store.roles.gateway import Known

MOST_KEPT = 4096  # of about 2 KB


class KeptBody(NamedTuple):
    """The JSON of a job in the state that `known` names."""

    known: Known
    json: bytes


class JobBodies:
    """Renders jobs and keeps the last state of each.

    Only Redis tells whether a kept one still holds and whose job it is. Jobs with outputs are not
    kept: their links are made fresh at each read.
    """

    def __init__(self) -> None:
        self._kept: Newest[str, KeptBody] = Newest(MOST_KEPT)

    def find(self, job_id: str) -> KeptBody | None:
        """What was rendered last of a job."""
        return self._kept.get(job_id)

    def render(self, view: QueuedView, link: OutputLink, base_url: Callable[[], str]) -> bytes:
        """The JSON of a job.

        Args:
            view: its record.
            link: to an output, and until when it answers.
            base_url: the gateway's address, where a link that is only a path leads; asked for where
                there is a link.
        """
        json = (
            job_view(view, link, base_url() if view.job.outputs else "").model_dump_json().encode()
        )
        if not view.job.outputs:
            self._kept.keep(
                view.job.id, KeptBody(Known(view.job.version, view.queue_position), json)
            )
        return json

"""Make links to stored results."""

from datetime import UTC, datetime, timedelta

from core.objects.object_keys import output_key
from core.objects.storage import ObjectStorage
from core.records.job import Job, Output


def output_link(
    storage: ObjectStorage, life: timedelta, job: Job, output: Output
) -> tuple[str, datetime]:
    """Return a link to a stored result and when it expires.

    A link that is only a path refers to the gateway.
    """
    key = output_key(job.id, job.fence, output.name)
    return storage.presigned_url(key, life, output.content_type), datetime.now(UTC) + life

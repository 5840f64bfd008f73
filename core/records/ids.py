"""Make ids that sort by creation time: a prefix and a ULID."""

from datetime import datetime

from ulid import ULID

JOB_ID_PREFIX = "itp_"
UPLOAD_ID_PREFIX = "upl_"
ULID_PATTERN = "[0-7][0-9A-HJKMNP-TV-Z]{25}"  # Crockford's base 32; the first digit holds 3 bits
JOB_ID_PATTERN = rf"^{JOB_ID_PREFIX}{ULID_PATTERN}$"
UPLOAD_ID_PATTERN = f"{UPLOAD_ID_PREFIX}{ULID_PATTERN}"


def new_ulid() -> str:
    """Return 26 digits; those of one process grow, also within a millisecond."""
    return str(ULID())


def new_job_id() -> str:
    """Return the id of a new job."""
    return f"{JOB_ID_PREFIX}{new_ulid()}"


def job_id_bound(moment: datetime) -> str:
    """Return a text that sorts between the ids of jobs from before and from after a moment."""
    milliseconds = int(moment.timestamp() * 1000)
    time_digits = str(ULID.from_timestamp(max(0, milliseconds)))[:10]
    return f"{JOB_ID_PREFIX}{time_digits}"


def new_upload_id() -> str:
    """Return the id of a new upload."""
    return f"{UPLOAD_ID_PREFIX}{new_ulid()}"

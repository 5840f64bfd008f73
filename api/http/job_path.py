"""The part of an address that names a job."""

from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

from core.records.ids import JOB_ID_PATTERN


class _JobIdConvertor(Convertor[str]):
    """Nothing is at an address whose id has another form, and nobody needs to ask Redis for it."""

    regex = JOB_ID_PATTERN.removeprefix("^").removesuffix("$")

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("job_id", _JobIdConvertor())

JOB = "/{job_id:job_id}"
JobId = Annotated[
    str,
    Path(
        description="`itp_` and a ULID.",
        pattern=JOB_ID_PATTERN,
        examples=["itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W"],
    ),
]

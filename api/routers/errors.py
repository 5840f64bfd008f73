"""A page about each error code: what `type` of a problem document points at."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from core.errors import NotFound, ServiceError

router = APIRouter(prefix="/errors", include_in_schema=False)


def _leaves(kind: type[ServiceError]) -> dict[str, type[ServiceError]]:
    pages = {kind.code: kind}
    for child in kind.__subclasses__():
        pages |= _leaves(child)
    return pages


_PAGES = _leaves(ServiceError)


@router.get("/{code}")
async def about(code: str) -> PlainTextResponse:
    """The code in words."""
    if code not in _PAGES:
        raise NotFound(f"there is no error code {code}")
    kind = _PAGES[code]
    return PlainTextResponse(f"{code}: {kind.title}\n\n{kind.__doc__}\n")

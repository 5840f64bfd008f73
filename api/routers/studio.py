"""Serve the studio, the page for people; it is plain files that use the public API alone."""

import hashlib
from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from api.http.parameters import ANY_STATE, SeenTags
from core.errors import NotFound
from core.settings import Settings

router = APIRouter(include_in_schema=False)

_FOLDER = files("api") / "studio"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".webp": "image/webp",
    ".txt": "text/plain",
    ".woff2": "font/woff2",
}
# asked for at each visit, so that files of two releases never meet in one page
_CACHING = {"Cache-Control": "no-cache"}


class _File(NamedTuple):
    content: bytes
    media_type: str
    etag: str


def _read_below(folder: Traversable, prefix: str = "") -> dict[str, _File]:
    found: dict[str, _File] = {}
    for entry in folder.iterdir():
        suffix = f".{entry.name.rpartition('.')[2]}"
        if entry.is_dir():
            found |= _read_below(entry, f"{prefix}{entry.name}/")
        elif suffix in _MEDIA_TYPES:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[prefix + entry.name] = _File(content, _MEDIA_TYPES[suffix], etag)
    return found


FILES = _read_below(_FOLDER)  # 200 kB at most, by path below the folder


def content_security_policy(*origins: str) -> str:
    """Return the policy of the page: nothing but this gateway, and where results are stored.

    Args:
        origins: addresses of this gateway's public URL and of the bucket, if there are any.
    """
    own = " ".join(("'self'", *origins))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
        f"img-src {own} blob: data:; media-src {own} blob:; connect-src {own}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    )


@router.get("/")
def page(request: Request, seen: SeenTags) -> Response:
    """Return the page; its addresses are relative, so it works below any path of a proxy."""
    settings: Settings = request.state.settings
    link: str = request.state.storage.presigned_url("studio", timedelta(minutes=1), "")
    places = [str(settings.public_url or ""), link]
    origins = {f"{url.scheme}://{url.netloc}" for url in map(urlsplit, places) if url.netloc}
    headers = {"Content-Security-Policy": content_security_policy(*sorted(origins))}
    return _answer(FILES["index.html"], seen, headers)


@router.get("/studio/{path:path}")
async def asset(path: str, seen: SeenTags) -> Response:
    """Return a file of the page."""
    if path not in FILES:
        raise NotFound("the studio has no such file")
    return _answer(FILES[path], seen, {})


def _answer(file: _File, seen: frozenset[str], headers: dict[str, str]) -> Response:
    headers |= _CACHING | {"ETag": file.etag}
    if not seen.isdisjoint((file.etag, ANY_STATE)):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)

"""Serve the contract as YAML, a page to try it, and a page per error code.

The page needs no other network: Swagger UI comes from an installed package.
"""

from importlib.resources import files
from typing import Any, Literal

import yaml
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from api.errors import all_errors
from core.errors import JobFailed, NotFound

router = APIRouter(include_in_schema=False)

_SWAGGER_UI = files("fastapi_offline") / "static"
_STATIC = files("api") / "static"
_ASSETS = {
    "start.js": (_STATIC, "text/javascript"),
    "swagger-ui-bundle.js": (_SWAGGER_UI, "text/javascript"),
    "swagger-ui.css": (_SWAGGER_UI, "text/css"),
}
# the files change with a release of the gateway
_ASSET_HEADERS = {"Cache-Control": "private, max-age=86400"}
# Swagger UI's stylesheet has its pictures as data, and its script sets styles
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


@router.get("/openapi.json")
async def contract(request: Request) -> dict[str, Any]:
    """Return the contract."""
    return dict(request.app.openapi())


@router.get("/openapi.yaml")
def contract_as_yaml(request: Request) -> Response:
    """Return the contract as YAML (RFC 9512)."""
    text = yaml.safe_dump(request.app.openapi(), sort_keys=False, allow_unicode=True)
    return Response(text, media_type="application/yaml")


@router.get("/docs")
def page() -> HTMLResponse:
    """Return Swagger UI; its addresses are relative, so it works below any path of a proxy."""
    return HTMLResponse((_STATIC / "docs.html").read_text("utf-8"), headers=_PAGE_HEADERS)


@router.get("/docs/{name}")
def asset(name: Literal["start.js", "swagger-ui-bundle.js", "swagger-ui.css"]) -> Response:
    """Return a file of the page."""
    folder, media_type = _ASSETS[name]
    return Response((folder / name).read_bytes(), media_type=media_type, headers=_ASSET_HEADERS)


@router.get("/errors/{code}")
async def error_page(code: str) -> PlainTextResponse:
    """Explain an error code: `type` of a problem document leads here."""
    if code not in _ERROR_KINDS:
        raise NotFound(f"there is no error code {code}")
    kind = _ERROR_KINDS[code]
    return PlainTextResponse(f"{code}: {kind.title}\n\n{kind.__doc__}\n")


_ERROR_KINDS = {kind.code: kind for kind in (*JobFailed.__subclasses__(), *all_errors())}

"""The contract as a page to read and to try, without any network: Swagger UI from an installed
package.
"""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

router = APIRouter(prefix="/docs", include_in_schema=False)

# only the files of that package are of use: they are Swagger UI's own
_ASSETS = files("fastapi_offline") / "static"
# they change with a release of the gateway
_ASSET_HEADERS = {"Cache-Control": "private, max-age=86400"}

_PAGE_HEADERS = {
    # Swagger UI's stylesheet holds its pictures as data, and its script sets styles; no script but
    # ours runs
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' "
    "'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; "
    "frame-ancestors 'none'"
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ToonCrafter service: the HTTP contract</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="contract"></div>
<noscript>This page needs JavaScript; the contract itself is <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#contract", deepLinking: true, displayRequestDuration: true,
  tryItOutEnabled: true, defaultModelsExpandDepth: 0, validatorUrl: null,
});
"""


@router.get("")
async def page() -> HTMLResponse:
    """All addresses in it are relative, so it works below any path of a proxy."""
    return HTMLResponse(_PAGE, headers=_PAGE_HEADERS)


@router.get("/start.js")
async def start() -> Response:
    """A file of its own, because the page allows no script that stands in it."""
    return Response(_START, media_type="text/javascript", headers=_ASSET_HEADERS)


@router.get("/swagger-ui-bundle.js")
def script() -> Response:
    """Swagger UI."""
    content = (_ASSETS / "swagger-ui-bundle.js").read_bytes()
    return Response(content, media_type="text/javascript", headers=_ASSET_HEADERS)


@router.get("/swagger-ui.css")
def style() -> Response:
    """Its looks."""
    return Response(
        (_ASSETS / "swagger-ui.css").read_bytes(), media_type="text/css", headers=_ASSET_HEADERS
    )

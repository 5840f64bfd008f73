"""What every answer says to browsers and caches, unless an endpoint said it already."""

DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # addresses hold ids and signatures
    "Content-Security-Policy": "frame-ancestors 'none'",  # a page of ours says more by itself
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # a job's state is old at once, and nobody else's business
}

# what scripts of other sites may read of an answer, beside what browsers show them anyway
EXPOSED_HEADERS = (
    "Accept-Ranges", "Content-Range", "ETag", "Idempotent-Replayed", "Link", "Location", "Preference-Applied",
    "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID",
)  # fmt: skip

_RAW = [(name.lower().encode(), value.encode()) for name, value in DEFAULTS.items()]


def add_defaults(headers: list[tuple[bytes, bytes]]) -> None:
    """Say it, in ASGI's form."""
    said = {name for name, _ in headers}
    headers += [default for default in _RAW if default[0] not in said]

"""Parse images inside JSON: data URIs as clients write them (RFC 2397)."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from core.images.errors import UnreadableImage

# The scheme and `base64` in any case, an image type, `octet-stream` or none, and parameters. The
# type is not trusted: the bytes say what the image is.
PATTERN = (
    r"^[Dd][Aa][Tt][Aa]:"
    r" *([Ii][Mm][Aa][Gg][Ee]/[A-Za-z0-9.+-]+"
    r"|[A-Za-z]+/[Oo][Cc][Tt][Ee][Tt]-[Ss][Tt][Rr][Ee][Aa][Mm])?"
    r"( *;[^;,]*)*; *[Bb][Aa][Ss][Ee]64 *,"
)
_WHITESPACE = b" \t\r\n\f\v"


def decode_data_uri(uri: str) -> bytes:
    """The bytes of a data URI that matches PATTERN; lines may be wrapped, padding left out.

    Raises:
        UnreadableImage: what follows the comma is not base64.
    """
    text = uri.partition(",")[2].encode()
    if b"%" in text:
        text = unquote_to_bytes(text)
    text = text.translate(None, _WHITESPACE)
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise UnreadableImage("must be base64 after `;base64,`") from None

"""Sign links to objects in a folder, the counterpart of a bucket's presigned links.

The holder of a link needs no other permission.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import quote, urlencode

from core.errors import Forbidden, Unavailable

PATH = "/files/"  # where the gateway serves them
SECRET_BYTES = 32  # as long as the digest (RFC 2104, section 3)


class SignedLinks:
    """Signs and checks links with a secret of this deployment: HMAC-SHA256 over all that a link
    permits.
    """

    def __init__(self, secret_file: Path) -> None:
        self._secret_file = secret_file

    def sign(self, method: str, key: str, expires: timedelta, content_type: str = "") -> str:
        """The path and query of a link.

        Args:
            method: `GET` or `PUT`.
            key: of the object.
            expires: how long the link lives.
            content_type: with which a GET is answered.

        Raises:
            Unavailable: the secret can be neither read nor made.
        """
        fields = {"expires": str(int(time.time() + expires.total_seconds()))}
        if content_type:
            fields["content_type"] = content_type
        fields["signature"] = self._signature(method, key, fields)
        return f"{PATH}{quote(key)}?{urlencode(fields)}"

    def check(self, method: str, key: str, fields: Mapping[str, str]) -> None:
        """Return if this link permits this.

        Args:
            method: `GET` or `PUT`.
            key: of the object that is asked for.
            fields: the link's query.

        Raises:
            Forbidden: the link is not one of ours, or its time is over.
            Unavailable: the secret can be neither read nor made.
        """
        signature = fields.get("signature", "")
        if not hmac.compare_digest(
            signature.encode(), self._signature(method, key, fields).encode()
        ):
            raise Forbidden("the signature does not belong to this link")
        if int(fields["expires"]) <= time.time():
            raise Forbidden("the link has expired")

    def _signature(self, method: str, key: str, fields: Mapping[str, str]) -> str:
        permitted = "\n".join(
            (method, key, fields.get("expires", ""), fields.get("content_type", ""))
        )
        return hmac.digest(self._secret, permitted.encode(), hashlib.sha256).hex()

    @cached_property
    def _secret(self) -> bytes:
        """The secret that all processes on this folder share; the first that needs it makes it."""
        try:
            return self._read_or_make()
        except OSError as error:
            raise Unavailable(
                f"the secret of links is not at hand ({type(error).__name__})"
            ) from error

    def _read_or_make(self) -> bytes:
        with suppress(FileNotFoundError):
            return self._secret_file.read_bytes()
        folder = self._secret_file.parent
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder) as file:  # made with mode 0600
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was faster, and its secret counts
                os.link(file.name, self._secret_file)  # whole or not at all
        return self._secret_file.read_bytes()

"""Secrets that can be searched for, and a caller who notes all that it is told."""

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx


@dataclass
class Canaries:
    """Words that occur nowhere else, by what they stand for; and the texts in which none of
    them may be.
    """

    words: dict[str, str] = field(default_factory=dict)

    def new(self, what: str) -> str:
        """A word that a caller puts into such a place."""
        return self.words.setdefault(what, f"canary{secrets.token_hex(12)}")

    def known(self, what: str, word: str) -> str:
        """A word that the service made."""
        assert len(word) >= 16
        self.words[what] = word
        return word

    def found_in(self, text: str) -> set[str]:
        """What is in a text, plain, percent-encoded, in base64 (wherever it begins in there), or as
        hex digits.
        """
        return {
            what for what, word in self.words.items() if any(form in text for form in _forms(word))
        }


def _forms(word: str) -> Iterator[str]:
    yield word
    yield quote(word, safe="")
    yield word.encode().hex()
    for before in range(3):
        encoded_word = base64.b64encode(b"x" * before + word.encode()).decode()
        yield encoded_word[4 if before else 0 : -4]


@dataclass
class Caller:
    """Sends requests and keeps what it was told."""

    http: httpx.AsyncClient
    refusals: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def accepted(self, path: str, **request: Any) -> dict[str, Any]:
        response = await self._send("POST", path, **request)
        assert response.is_success, response.text
        self.answers.append(response.text)
        answer: dict[str, Any] = response.json()
        return answer

    async def refused(self, status: int, method: str, path: str, **request: Any) -> None:
        response = await self._send(method, path, **request)
        assert response.status_code == status, response.text
        self.refusals.append(response.text + str(response.headers))

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Once more for each 503: a bucket on a busy machine is too slow for the gateway now and
        then.
        """
        for _ in range(10):
            response = await self.http.request(method, path, **request)
            if response.status_code != 503:
                break
            self.refusals.append(response.text)
        return response

    async def read(self, path: str) -> Any:
        response = await self.http.get(path)
        assert response.is_success, response.text
        self.answers.append(response.text)
        return response.json()

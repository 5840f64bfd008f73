"""Redirects: each hop is checked as the first address is."""

import pytest

from core.outbound.urls import ForbiddenUrl, UnreachableUrl
from testkit.outbound import OTHER, PUBLIC, Worlds, redirect
from testkit.web import (
    always,
    by_resource,
    http,
)


class TestRedirects:
    @pytest.mark.parametrize(
        "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
    )
    async def test_is_followed_to_another_host(self, world: Worlds, status: str) -> None:
        """With its own name server answer, and without what the first host set."""
        answers = {
            "/a.png": redirect("https://cdn.example.com/b.png?x=1", status),
            "/b.png?x=1": http(b"drawing"),
        }
        async with world(by_resource(answers)) as web:
            assert await web.fetch() == b"drawing"
            assert web.internet.reached == [(PUBLIC, 443), (OTHER, 443)]
            first, last = web.server.visits
            assert (last.server_name, last.headers["host"]) == (
                "cdn.example.com",
                "cdn.example.com",
            )
            assert first.headers.keys() == last.headers.keys()

    async def test_relative_ones_up_to_three(self, world: Worlds) -> None:
        """The fourth is one too many."""
        answers = {
            "/a.png": redirect("/1"),
            "/1": redirect("2"),
            "/2": redirect("//cdn.example.com/3"),
        }
        async with world(by_resource(answers | {"/3": http(b"drawing")})) as web:
            assert await web.fetch() == b"drawing"
        async with world(by_resource(answers | {"/3": redirect("/4")})) as web:
            with pytest.raises(UnreachableUrl, match="more than 3 times"):
                await web.fetch()
            assert [visit.resource for visit in web.server.visits] == ["/a.png", "/1", "/2", "/3"]

    @pytest.mark.parametrize(
        "location",
        [
            *(
                "https://private.example.com/",
                "https://127.0.0.1/",
                "https://[::ffff:7f00:1]/",
                "https://localhost/",
            ),
            *(
                "http://images.example.com/",
                "https://images.example.com:8443/",
                "https://u:p@images.example.com/",
            ),
            *(
                "file:///etc/passwd",
                "//169.254.169.254/latest",
                "https://2130706433/",
                "https://x\\@127.0.0.1/",
            ),
        ],
    )
    async def test_to_where_no_request_may_go(self, world: Worlds, location: str) -> None:
        """Each hop is judged like the first; where it leads to is not told."""
        async with world(always(redirect(location))) as web:
            with pytest.raises(ForbiddenUrl, match="after a redirect") as refused:
                await web.fetch()
            assert len(web.internet.reached) == 1
            assert location not in str(refused.value)

    async def test_without_a_place(self, world: Worlds) -> None:
        """A 302 that says nothing."""
        async with world(always(http(status="302 Found"))) as web:
            with pytest.raises(UnreachableUrl, match="without a `Location`"):
                await web.fetch()

"""`python -m admin secrets`."""

from collections.abc import Callable

import pytest

from admin.__main__ import main
from core.settings import Settings
from testkit.api.calls import problems
from testkit.api.gateway import gateway
from testkit.commands import Ask
from testkit.servers import RedisServer, free_port


async def test_a_secret_is_effective_at_once(ask: Ask, settings: Settings) -> None:
    """A gateway that has refused a webhook for want of one tries it, without a restart."""
    receiver = f"127.0.0.1:{free_port()}"
    body = {"url": f"http://{receiver}/hook"}
    async with gateway(settings.model_copy(update={"allowed_hosts": [receiver]})) as client:
        before = problems(await client.post("/v1/webhooks/test", json=body), 422, "invalid_request")
        assert set(before.values()) == {"webhook_secret_missing"}
        made = ask("secrets", "create")
        assert made["tenant"] == "default"
        assert made["secret"].startswith("whsec_")
        assert (await client.post("/v1/webhooks/test", json=body)).is_success


def test_replaced_ones_stay_for_a_day_and_nothing_is_shown_twice(ask: Ask) -> None:
    """The list tells ids and times, the newest first."""
    first, second = (
        ask("secrets", "create", "--tenant", "studio"),
        ask("secrets", "rotate", "--tenant", "studio"),
    )
    listed = ask("secrets", "list", "--tenant", "studio")
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    assert [one["expires_at"] is None for one in listed] == [True, False]
    assert all("secret" not in one for one in listed)
    assert ask("secrets", "list", "--tenant", "other") == []


def test_a_person_is_told_in_words(
    redis_server: RedisServer,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The stack is found in the environment; a third secret is refused, and it is said what
    helps.
    """
    monkeypatch.setenv("TOONCRAFTER_REDIS_URL", redis_server.url)
    create = ["secrets", "create"]
    main(create)
    made = capsys.readouterr().out
    assert "secret: whsec_" in made
    assert "only once" in made
    main(create)
    assert "`secrets rotate`" in refused(*create)
    capsys.readouterr()
    main(["secrets", "list"])
    listed = capsys.readouterr().out
    assert listed.count("created_at=") == 2
    assert "whsec_" not in listed

"""`python -m admin keys` beside a running gateway."""

import json
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys
from testkit.api.gateway import gateway
from testkit.commands import Ask, run_command
from testkit.servers import RedisServer, free_port


async def test_a_key_from_its_making_to_its_end(ask: Ask, settings: Settings) -> None:
    """It is shown once, listed with its use, has limits of its own, and is revoked by name."""
    options = [
        "--name",
        "comp",
        "--scopes",
        "read",
        "--expires",
        "90d",
        "--limit",
        "reads_per_minute=7",
    ]
    made = ask("keys", "create", "--tenant", "studio", *options)
    assert ask("keys", "create", "--tenant", "studio")["scopes"] == ["submit", "read"]
    async with gateway(settings) as client:
        answer = await client.get("/v1/queue", headers={"Authorization": f"Bearer {made['key']}"})
    assert '"reads";q=7;w=60' in answer.headers["ratelimit-policy"]
    named, plain = ask("keys", "list", "--tenant", "studio")
    assert named["last_used_at"]
    assert not plain["last_used_at"]
    assert (
        datetime.fromisoformat(named["expires_at"]) - datetime.fromisoformat(named["created_at"])
    ).days in (89, 90)
    assert made["key"] not in str(ask("keys", "list"))
    assert [key["id"] for key in ask("keys", "revoke", "--tenant", "studio", "--name", "comp")] == [
        made["id"]
    ]
    with pytest.raises(SystemExit, match="no such key; it has " + plain["id"]):
        ask("keys", "revoke", "--tenant", "studio", "--name", "comp")
    assert len(ask("keys", "revoke", "--tenant", "studio", "--all")) == 1
    assert ask("keys", "list") == []


async def test_the_only_key_needs_no_name(ask: Ask) -> None:
    """Of several, one has to be chosen."""
    made = ask("keys", "create", "--tenant", "studio")
    assert [key["id"] for key in ask("keys", "revoke", "--tenant", "studio")] == [made["id"]]
    several = [ask("keys", "create", "--tenant", "studio")["id"] for _ in range(2)]
    with pytest.raises(SystemExit, match=f"{several[0]}.*choose with --id"):
        ask("keys", "revoke", "--tenant", "studio")
    assert len(ask("keys", "list", "--tenant", "studio")) == 2
    with pytest.raises(SystemExit, match="it has none"):
        ask("keys", "revoke", "--tenant", "other")


def test_the_stack_is_found_by_its_folder(redis_server: RedisServer, tmp_path: Path) -> None:
    """That of `make up`, which says there where its Redis is."""
    (tmp_path / "redis.url").write_text(redis_server.url)
    made = run_command(
        "keys", "create", "--tenant", "studio", "--json", TOONCRAFTER_STATE_DIR=str(tmp_path)
    )
    assert json.loads(made.stdout)["key"].startswith("tck_")
    with closing(ApiKeys(redis_server.url)) as keys_there:
        assert [key.id for key in keys_there.list("studio")] == [json.loads(made.stdout)["id"]]


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["keys", "create", "--tenant", "Studio A"], {}, "1 to 63 of a-z"),
        (["keys", "create", "--scopes", "read,write"], {}, "submit, read, admin"),
        (["keys", "create", "--expires", "90"], {}, "such as 90d"),
        (["keys", "create", "--limit", "reads=5"], {}, "reads_per_minute"),
        (
            ["keys", "create", "--limit", "max_queued=0"],
            {"TOONCRAFTER_REDIS_URL": "redis://127.0.0.1:1"},
            "greater than 0",
        ),
        (["keys", "create", "--limit", "max_queued=1" + "0" * 15], {}, "NAME=NUMBER"),
        (["keys", "create", "--name", "a\n\x1b[2Jid=1"], {}, "all printable"),
        (["keys", "create", "--name", "n" * 101], {}, "at most 100 characters"),
        (["secrets", "create", "--tenant", "a:b"], {}, "1 to 63 of a-z"),
        (
            ["keys", "create"],
            {"TOONCRAFTER_REDIS_URL": f"redis://127.0.0.1:{free_port()}"},
            "Redis does not answer",
        ),
        (
            ["keys", "list"],
            {"TOONCRAFTER_REDIS_URL": "", "TOONCRAFTER_STATE_DIR": "/nowhere"},
            "no stack runs in /nowhere",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], environment: dict[str, str], told: str
) -> None:
    """No traceback."""
    ended = run_command(*arguments, **environment)
    assert ended.returncode != 0
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr

"""`python -m admin keys` beside a running gateway."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from admin.__main__ import main
from core.records.tenant import DEFAULT_TENANT
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from core.store.tenants.api_keys import ApiKeys
from testkit.api.gateway import gateway
from testkit.commands import Ask, run_command
from testkit.servers import RedisServer, free_port
from testkit.store.steps import claim, submit
from testkit.store.tenant_jobs import TenantJobs


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
    ],
)
def test_what_is_wrong_is_said(
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    told: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert told in refused(*arguments)


def test_what_is_wrong_is_said_in_a_line() -> None:
    """No traceback."""
    ended = run_command("keys", "list", TOONCRAFTER_STATE_DIR="/nowhere")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "no stack runs in /nowhere" in line


class TestFirstKey:
    """Jobs made without a key belong to the tenant `default`."""

    async def test_it_says_what_changes_and_what_to_do(
        self,
        async_store: TenantJobs,
        redis_server: RedisServer,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """On stderr, so that the key alone is on stdout; the second key says nothing."""
        monkeypatch.setenv("TOONCRAFTER_REDIS_URL", redis_server.url)
        await submit(async_store)
        create = ["keys", "create", "--tenant", "studio", "--json"]
        main(create)
        first = capsys.readouterr()
        main(create)
        second = capsys.readouterr()
        assert json.loads(first.out)["tenant"] == "studio"
        assert "refuses every call without one" in first.err
        assert "1 job made without a key" in first.err
        assert "python -m admin keys take-jobs --tenant studio" in first.err
        assert second.err == ""

    async def test_ended_jobs_go_to_the_new_tenant(
        self, ask: Ask, async_store: TenantJobs, store: WorkerStore, settings: Settings
    ) -> None:
        """Its caller sees them like jobs of its own; a job that waits stays where it is."""
        ended, waiting = await submit(async_store), await submit(async_store)
        await async_store.of_tenant(DEFAULT_TENANT).cancel(ended.id)
        made = ask("keys", "create", "--tenant", "studio")
        assert ask("keys", "take-jobs", "--tenant", "studio") == {
            "tenant": "studio",
            "from": "default",
            "jobs": 1,
            "not_ended": 1,
        }
        caller = {"Authorization": f"Bearer {made['key']}"}
        async with gateway(settings) as client:
            listed = (await client.get("/v1/interpolations", headers=caller)).json()
            assert [job["id"] for job in listed["data"]] == [ended.id]
            canceled = await client.get("/v1/interpolations?status=canceled", headers=caller)
            assert [job["id"] for job in canceled.json()["data"]] == [ended.id]
            one = await client.get(f"/v1/interpolations/{ended.id}", headers=caller)
            assert one.json()["status"] == "canceled"
            hidden = await client.get(f"/v1/interpolations/{waiting.id}", headers=caller)
            assert hidden.status_code == 404
            gone = await client.delete(f"/v1/interpolations/{ended.id}", headers=caller)
            assert gone.status_code == 204
        assert claim(store, "worker").job.id == waiting.id

    def test_tenant_cannot_take_its_own(self, ask: Ask) -> None:
        with pytest.raises(SystemExit, match="both default"):
            ask("keys", "take-jobs")

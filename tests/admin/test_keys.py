"""`python -m admin.keys` beside a gateway that runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from admin import keys
from core.records.job import new_job_id
from core.settings import Settings
from core.store.roles.gateway import AsyncJobStore
from core.store.roles.worker import JobStore
from core.store.tenants.api_keys import ApiKeys
from testkit.api.calls import problems
from testkit.api.gateway import gateway
from testkit.jobs import generation_request
from testkit.servers import RedisServer, free_port

Ask = Callable[..., Any]


@pytest.fixture
def ask(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ask:
    """Runs a command and answers its JSON."""
    monkeypatch.setenv("TOONCRAFTER_REDIS_URL", redis_server.url)

    def run(*arguments: str) -> Any:
        capsys.readouterr()  # what a gateway in this process logged
        keys.main([*arguments, "--json"])
        return json.loads(capsys.readouterr().out)

    return run


def run_keys(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as it is typed."""
    command = [sys.executable, "-m", "admin.keys", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, timeout=60
    )


async def test_a_key_from_its_making_to_its_end(ask: Ask, settings: Settings) -> None:
    """Shown once; listed with its use; its limits are its own; revoked by name, and by nothing that
    is not there.
    """
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
    made = ask("create", "--tenant", "studio", *options)
    assert ask("create", "--tenant", "studio")["scopes"] == ["submit", "read"]
    async with gateway(settings) as client:
        answer = await client.get("/v1/queue", headers={"Authorization": f"Bearer {made['key']}"})
    assert '"reads";q=7;w=60' in answer.headers["ratelimit-policy"]
    named, plain = ask("list", "--tenant", "studio")
    assert named["last_used_at"]
    assert not plain["last_used_at"]
    assert (
        datetime.fromisoformat(named["expires_at"]) - datetime.fromisoformat(named["created_at"])
    ).days in (89, 90)
    assert made["key"] not in str(ask("list"))
    assert [key["id"] for key in ask("revoke", "--tenant", "studio", "--name", "comp")] == [
        made["id"]
    ]
    with pytest.raises(SystemExit, match="no such key; it has " + plain["id"]):
        ask("revoke", "--tenant", "studio", "--name", "comp")
    assert len(ask("revoke", "--tenant", "studio", "--all")) == 1
    assert ask("list") == []


async def test_the_only_key_needs_no_name(ask: Ask) -> None:
    """Of several, one has to be chosen."""
    made = ask("create", "--tenant", "studio")
    assert [key["id"] for key in ask("revoke", "--tenant", "studio")] == [made["id"]]
    several = [ask("create", "--tenant", "studio")["id"] for _ in range(2)]
    with pytest.raises(SystemExit, match=f"which one.*{several[0]}"):
        ask("revoke", "--tenant", "studio")
    assert len(ask("list", "--tenant", "studio")) == 2
    with pytest.raises(SystemExit, match="it has none"):
        ask("revoke", "--tenant", "other")


async def test_gpu_time_by_day(
    ask: Ask, store: JobStore, async_store: AsyncJobStore, redis_server: RedisServer
) -> None:
    """What a tenant's attempts held workers for, whatever came of them; a person is not told to
    keep it secret.
    """
    await async_store.of("studio").submit(
        new_job_id(), generation_request(), metadata={}, ttl=timedelta(hours=1), request_id=""
    )
    claim = store.claim("worker")
    assert claim
    store.give_back(claim)
    used = ask("usage", "--tenant", "studio", "--days", "2")
    assert used["tenant"] == "studio"
    assert used["gpu_seconds"] == pytest.approx(sum(used["days"].values()))
    assert used["gpu_seconds"] > 0
    assert ask("usage") == {"tenant": "default", "gpu_seconds": 0, "days": {}}
    told = run_keys("usage", "--tenant", "studio", TOONCRAFTER_REDIS_URL=redis_server.url).stdout
    assert f"days: {next(iter(used['days']))}=" in told
    assert "this once" not in told


async def test_a_secret_is_effective_at_once(ask: Ask, settings: Settings) -> None:
    """A gateway that has refused a webhook for want of one tries it, without a restart."""
    receiver = f"127.0.0.1:{free_port()}"
    body = {"url": f"http://{receiver}/hook"}
    async with gateway(settings.model_copy(update={"allowed_hosts": [receiver]})) as client:
        before = problems(await client.post("/v1/webhooks/test", json=body), 422, "invalid_request")
        assert set(before.values()) == {"webhook_secret_missing"}
        made = ask("webhook-secret", "create")
        assert made["tenant"] == "default"
        assert made["secret"].startswith("whsec_")
        assert (await client.post("/v1/webhooks/test", json=body)).is_success


def test_replaced_ones_stay_for_a_day_and_nothing_is_shown_twice(ask: Ask) -> None:
    """The list tells ids and times, the newest first."""
    first, second = (
        ask("webhook-secret", "create", "--tenant", "studio"),
        ask("webhook-secret", "rotate", "--tenant", "studio"),
    )
    listed = ask("webhook-secret", "list", "--tenant", "studio")
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    assert [one["expires_at"] is None for one in listed] == [True, False]
    assert all("secret" not in one for one in listed)
    assert ask("webhook-secret", "list", "--tenant", "other") == []


def test_the_stack_is_found_by_its_folder(redis_server: RedisServer, tmp_path: Path) -> None:
    """That of `make up`, which says there where its Redis is."""
    (tmp_path / "redis.url").write_text(redis_server.url)
    made = run_keys("create", "--tenant", "studio", "--json", TOONCRAFTER_STATE_DIR=str(tmp_path))
    assert json.loads(made.stdout)["key"].startswith("tck_")
    with closing(ApiKeys(redis_server.url)) as keys_there:
        assert [key.id for key in keys_there.list("studio")] == [json.loads(made.stdout)["id"]]


def test_a_person_is_told_in_words(redis_server: RedisServer) -> None:
    """The stack is found in the environment; a third secret is refused, and it is said what
    helps.
    """
    made = [
        run_keys("webhook-secret", "create", TOONCRAFTER_REDIS_URL=redis_server.url)
        for _ in range(3)
    ]
    assert [one.returncode for one in made] == [0, 0, 1]
    assert "secret: whsec_" in made[0].stdout
    assert "this once" in made[0].stdout
    assert "`rotate`" in made[2].stderr
    listed = run_keys("webhook-secret", "list", TOONCRAFTER_REDIS_URL=redis_server.url)
    assert listed.stdout.count("created_at=") == 2
    assert "whsec_" not in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["create", "--tenant", "Studio A"], {}, "1 to 63 of a-z"),
        (["create", "--scopes", "read,write"], {}, "submit, read, admin"),
        (["create", "--expires", "90"], {}, "such as 90d"),
        (["create", "--limit", "reads=5"], {}, "reads_per_minute"),
        (
            ["create", "--limit", "max_queued=0"],
            {"TOONCRAFTER_REDIS_URL": "redis://127.0.0.1:1"},
            "greater than 0",
        ),
        (["create", "--limit", "max_queued=1" + "0" * 15], {}, "NAME=NUMBER"),
        (["create", "--name", "a\n\x1b[2Jid=1"], {}, "that can be printed"),
        (["create", "--name", "n" * 101], {}, "at most 100 characters"),
        (["webhook-secret", "create", "--tenant", "a:b"], {}, "1 to 63 of a-z"),
        (
            ["create"],
            {"TOONCRAFTER_REDIS_URL": f"redis://127.0.0.1:{free_port()}"},
            "Redis does not answer",
        ),
        (
            ["list"],
            {"TOONCRAFTER_REDIS_URL": "", "TOONCRAFTER_STATE_DIR": "/nowhere"},
            "no stack runs in /nowhere",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], environment: dict[str, str], told: str
) -> None:
    """No traceback."""
    ended = run_keys(*arguments, **environment)
    assert ended.returncode != 0
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr

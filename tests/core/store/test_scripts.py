"""The Lua files: found, complete, and accepted by Redis."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from core.store import scripts
from core.store.scripts import complete, load
from testkit.servers import RedisServer

LUA = Path(str(files("core.store"))) / "lua"
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua"))


def included(path: Path) -> set[Path]:
    """The file itself and all that it includes."""
    names = re.findall(r"^-- include (\S+)$", path.read_text(), re.MULTILINE)
    return {path}.union(*(included(LUA / name) for name in names))


@pytest.mark.parametrize("name", SCRIPTS)
def test_redis_compiles_it(redis_server: RedisServer, name: str) -> None:
    """Nothing is run."""
    assert redis_server.client.script_load(load(name))


def test_every_file_is_used() -> None:
    """A script names it, or another file includes it."""
    used = set[Path]().union(*(included(LUA / f"{name}.lua") for name in SCRIPTS))
    assert used == set(LUA.rglob("*.lua"))


def test_a_wheel_has_every_file() -> None:
    """Wheels and images hold of a package what `package-data` names."""
    root = LUA.parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["core"]
    shipped = {path for pattern in patterns for path in (root / "core").glob(pattern)}
    assert set(LUA.rglob("*.lua")) <= shipped


@pytest.mark.parametrize("path", sorted(LUA.rglob("*.lua")), ids=lambda path: path.stem)
def test_globals_are_redis_s_own(path: Path) -> None:
    """A name that no included file defines would fail only when its line runs."""
    source = "\n".join(one.read_text() for one in included(path))
    code = re.sub(r"'[^'\n]*'", "''", re.sub(r"--.*", "", source))
    called = set(re.findall(r"(?<![.:\w])(\w+)\(", code))
    defined = set(re.findall(r"local function (\w+)", code))
    defined |= {
        name for names in re.findall(r"local ([\w, ]+) =", code) for name in names.split(", ")
    }
    assert called - defined <= {
        *("and", "or", "not", "if", "elseif", "while", "return", "in", "function"),
        *("error", "ipairs", "next", "pairs", "pcall", "select", "tonumber", "tostring", "type"),
        *("unpack",),
    }


class TestComplete:
    def test_a_file_is_included_once(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Also when two included files include it."""
        for name, source in (
            ("a.lua", "-- include c.lua\nlocal a = c"),
            ("b.lua", "-- include c.lua\nlocal b = c"),
            ("c.lua", "local c = 1"),
        ):
            (tmp_path / name).write_text(source)
        monkeypatch.setattr(scripts, "FOLDERS", [tmp_path])
        whole = complete("-- include a.lua\n-- include b.lua\nreturn a + b")
        assert whole.splitlines()[1:] == [
            "local c = 1",
            "local a = c",
            "local b = c",
            "return a + b",
        ]

    def test_constants_arrive_as_lua_values(self, redis_server: RedisServer) -> None:
        """Text, numbers, durations in milliseconds, lists, tables."""
        source = complete(
            "return {C.JOB, C.MAX_LOST_LEASES, C.PROGRESS_EVERY, C.PRIORITIES, "
            "C.TRANSITIONS.queued.running and 1, C.TRANSITIONS.queued.succeeded or 0}"
        )
        answer = redis_server.client.eval(source, 0)
        assert answer == ["tc:job:", 3, 1000, ["interactive", "batch"], 1, 0]

    def test_unknown_constant(self) -> None:
        """It is found when the script is loaded."""
        with pytest.raises(KeyError, match="NO_SUCH"):
            complete("return C.NO_SUCH")

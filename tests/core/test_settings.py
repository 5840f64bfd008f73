"""What an operator sets, and where it is found."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from core.settings import Settings


class TestSources:
    def test_environment_wins_over_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One command can deviate from the stack's own `.env`."""
        (tmp_path / ".env").write_text("TOONCRAFTER_PORT=8100\nTOONCRAFTER_HOST=0.0.0.0\n")
        monkeypatch.setenv("TOONCRAFTER_PORT", "8200")
        assert (Settings().port, Settings().host) == (8200, "0.0.0.0")

    def test_empty_means_unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So the example file can be copied as it is."""
        monkeypatch.setenv("TOONCRAFTER_REDIS_URL", "")
        monkeypatch.setenv("TOONCRAFTER_PORT", "")
        assert (Settings().redis_url, Settings().port) == (None, 8000)

    @pytest.mark.parametrize(("value", "seconds"), [("3600", 3600), ("1.5", 1.5), ("P1D", 86400)])
    def test_durations_count_seconds(
        self, monkeypatch: pytest.MonkeyPatch, value: str, seconds: float
    ) -> None:
        """A bare number, or the ISO form."""
        monkeypatch.setenv("TOONCRAFTER_RESULT_TTL", value)
        assert Settings().result_ttl == timedelta(seconds=seconds)

    def test_sizes_have_units(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As operators write them."""
        monkeypatch.setenv("TOONCRAFTER_MAX_BODY", "8MiB")
        assert Settings().max_body == 8 * 2**20

    def test_wrong_value_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process does not start, and says why."""
        monkeypatch.setenv("TOONCRAFTER_PORT", "eighty")
        with pytest.raises(ValidationError, match="port"):
            Settings()

    def test_secrets_are_not_printed(self) -> None:
        """Not even if the settings are logged."""
        assert "hunter2" not in repr(Settings(s3_secret_access_key="hunter2"))


class TestFindRedis:
    def test_address_as_set(self, tmp_path: Path) -> None:
        """It wins over a stack that runs in the state folder."""
        (tmp_path / "redis.url").write_text("unix:///elsewhere/redis.sock\n")
        settings = Settings(redis_url="redis://db:6379/0", state_dir=tmp_path)
        assert settings.find_redis() == "redis://db:6379/0"

    def test_address_of_the_stack_in_the_state_folder(self, tmp_path: Path) -> None:
        """Every command finds a running stack through that folder."""
        (tmp_path / "redis.url").write_text("unix:///elsewhere/redis.sock\n")
        assert Settings(state_dir=tmp_path).find_redis() == "unix:///elsewhere/redis.sock"

    def test_no_stack_runs(self, tmp_path: Path) -> None:
        """The message says what would help."""
        with pytest.raises(RuntimeError, match=r"make up.*TOONCRAFTER_REDIS_URL"):
            Settings(state_dir=tmp_path).find_redis()


class TestOwnHosts:
    def test_hosts_that_urls_may_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A list in JSON, as the example shows."""
        monkeypatch.setenv("TOONCRAFTER_ALLOWED_HOSTS", '["127.0.0.1:9000", "[::1]:80"]')
        assert Settings().allowed_hosts == ["127.0.0.1:9000", "[::1]:80"]

    @pytest.mark.parametrize(
        "value", ['["127.0.0.1"]', '["http://minio:9000"]', '["*:80/"]', "minio:9000"]
    )
    def test_what_is_no_host_and_port(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        """A typing error opens nothing, and the process says so."""
        monkeypatch.setenv("TOONCRAFTER_ALLOWED_HOSTS", value)
        with pytest.raises((ValidationError, SettingsError), match="allowed_hosts"):
            Settings()


class TestOrigins:
    @pytest.mark.parametrize(
        "value",
        ["https://studio.example", "https://studio.example/", "HTTPS://Studio.Example:443/"],
    )
    def test_written_as_browsers_send_them(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        """A final slash matched no page, and no message said so."""
        monkeypatch.setenv("TOONCRAFTER_CORS_ORIGINS", f'["{value}", "http://[::1]:3000"]')
        assert Settings().cors_origins == ["https://studio.example", "http://[::1]:3000"]

    @pytest.mark.parametrize(
        "value",
        ["studio.example", "*", "null", "https://studio.example/app", "https://a:b@c.example",
         "ftp://studio.example", "https://studio.example?x", "https://", "https://a.example:x"],
    )  # fmt: skip
    def test_what_is_no_origin_stops_the_start(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("TOONCRAFTER_CORS_ORIGINS", f'["{value}"]')
        with pytest.raises(ValidationError, match="cors_origins"):
            Settings()

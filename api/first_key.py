"""Require an API key before a gateway listens on an address that other machines reach."""

import stat
import threading
import time
from contextlib import closing

import structlog
from redis.exceptions import RedisError

from core.endpoints import is_loopback
from core.records.tenant import DEFAULT_TENANT
from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys

RETRY_SECONDS = 1.0

log = structlog.get_logger("api")


def prepare_keys(settings: Settings) -> None:
    """Add the operator's first key; refuse to serve other machines without any key.

    While Redis does not answer, the key is added later, and all callers are refused until then.

    Raises:
        SystemExit: an address that others reach and no key; or a file that holds none.
    """
    first_key = _read_first_key(settings)
    with closing(ApiKeys(settings.find_redis())) as keys:
        try:
            if first_key is not None:
                _take_over(keys, first_key)
            if not is_loopback(settings.host) and not keys.any():
                raise SystemExit(
                    f"TOONCRAFTER_HOST is {settings.host}, which others reach, and there is no API "
                    "key. Make one with "
                    "`python -m admin keys create --tenant T`, name a file that holds one in "
                    "TOONCRAFTER_INITIAL_KEY_FILE, or listen on 127.0.0.1"
                )
        except RedisError as error:
            log.warning("Redis does not answer, keys are looked for later", error=str(error))
            if first_key is not None:
                threading.Thread(
                    target=_take_over_later, args=(settings, first_key), daemon=True
                ).start()


def _read_first_key(settings: Settings) -> str | None:
    if settings.initial_key_file is None:
        return None
    try:
        if settings.initial_key_file.stat().st_mode & stat.S_IROTH:
            log.warning(
                "every user of the machine can read the initial API key; take the right away with "
                "`chmod o-r`, and let the gateway's user own the file",
                file=str(settings.initial_key_file),
            )
        return settings.initial_key_file.read_text().strip()
    except OSError as error:
        raise SystemExit(
            f"TOONCRAFTER_INITIAL_KEY_FILE names {settings.initial_key_file}: {error.strerror}"
        ) from None


def _take_over(keys: ApiKeys, first_key: str) -> None:
    try:
        if keys.add_once(first_key, DEFAULT_TENANT, "initial"):
            log.info("the initial API key was added", tenant=DEFAULT_TENANT)
    except ValueError as error:
        raise SystemExit(f"the file of TOONCRAFTER_INITIAL_KEY_FILE: {error}") from None


def _take_over_later(settings: Settings, first_key: str) -> None:
    with closing(ApiKeys(settings.find_redis())) as keys:
        while True:
            time.sleep(RETRY_SECONDS)
            try:
                return _take_over(keys, first_key)
            except RedisError:
                continue

"""Keys name objects below their folder, whatever somebody writes into one."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.objects.local import LocalStorage
from core.objects.object_keys import checked_key, checked_prefix, output_key
from core.objects.signed_links import SignedLinks
from testkit.object_keys import NASTY

ROOT = Path("/srv/objects")
PARTS = st.one_of(
    st.sampled_from(["..", ".", "", "jobs", "inputs", "%2e%2e", "\0", "~", "a" * 300, *NASTY]),
    st.text(max_size=8),
)
PATHS = st.lists(PARTS, max_size=6).map("/".join)


def is_accepted(key: str) -> bool:
    try:
        return checked_key(key) == key
    except ValueError:
        return False


@pytest.mark.parametrize("key", NASTY)
def test_nasty_keys_are_refused(key: str) -> None:
    """By the check that every kind of storage makes."""
    assert not is_accepted(key)
    with pytest.raises(ValueError, match=r"object key|prefix"):
        checked_prefix(key)


@given(PATHS)
@example("jobs/itp_1/inputs/" + "0" * 64)
def test_what_is_accepted_stays_below_its_folder(key: str) -> None:
    """As the file system reads it, and as a link does."""
    if not is_accepted(key):
        return
    path = ROOT / key
    assert path.resolve().is_relative_to(ROOT)
    assert path.resolve() == path
    assert not path.name.startswith(".")
    assert key.isascii()
    assert unquote(key) == quote(key) == urlsplit(f"https://host/{key}").path[1:] == key


@given(PATHS)
def test_a_folder_opens_nothing_above_it(key: str) -> None:
    """No call asks the file system before the key is judged."""
    storage = LocalStorage(ROOT, SignedLinks(ROOT / "secret"))
    if is_accepted(key):
        assert str(storage.local_path(key)).startswith(f"{ROOT}/")
        return
    calls = (
        lambda: storage.local_path(key),
        lambda: storage.get(key),
        lambda: storage.put(key, b"", "image/png"),
        lambda: storage.presigned_url(key, timedelta(1), "image/png"),
        lambda: storage.presigned_put(key, timedelta(1)),
        lambda: storage.delete_prefix(f"{key}/"),
        lambda: storage.list_page(f"{key}/", "", 1),
    )
    for call in calls:
        with pytest.raises(ValueError, match="not an object key"):
            call()


@given(st.text(max_size=20), st.text(max_size=20))
def test_keys_of_jobs_are_keys_or_no_keys(job_id: str, name: str) -> None:
    """Whatever got into a record: what is made of it is below the job's own prefix, or refused."""
    key = output_key(job_id, 1, name)
    if is_accepted(key):
        assert (ROOT / key).resolve().is_relative_to(ROOT)

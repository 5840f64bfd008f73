"""The sweep that deletes uploads that nothing uses."""

import threading
from collections.abc import Callable

import pytest

from core.objects.storage import ObjectStorage
from core.store.roles.dispatcher import DispatcherStore
from dispatcher.expiry import Expiry


@pytest.fixture
def sweep(storage: ObjectStorage, upkeep: DispatcherStore) -> Callable[[], None]:
    """What the dispatcher does each second."""
    return Expiry(upkeep, storage, threading.Event()).run

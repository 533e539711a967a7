"""Fixtures of the tests of both distributions: ports of their own, and that no client is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from tests.ports import reserved_port

# How long an example takes says more about the machine than about the code. The same examples in
# each run: a fault that is found by chance would be blamed on the change at hand. To look for
# such faults: HYPOTHESIS_PROFILE=search make test
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", _ANY_MACHINE, derandomize=True)
settings.register_profile("search", _ANY_MACHINE, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever started this in the background: daemons and commands that tests start heed Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

END_S = 30.0
"""A closed client's thread may still be in an attempt to connect."""


def _client_threads() -> set[threading.Thread]:
    """Threads of clients: those that send, and those that send what dead processes left."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("logd_client")}


@pytest.fixture(autouse=True)
def no_client_is_left() -> Iterator[None]:
    """A client that is not closed tries to connect for as long as the process lives.

    It takes time from all tests that follow, and may reach a daemon of theirs.
    """
    before = _client_threads()
    yield
    left = _client_threads() - before
    for thread in left:
        thread.join(END_S / len(left))
    still = sum(thread.is_alive() for thread in left)
    if still:
        pytest.fail(f"{still} client(s) not closed by this test", pytrace=False)


@pytest.fixture
def free_port() -> Iterator[Callable[[], int]]:
    """Gives ports that nobody listens on, and that nobody else is given during the test."""
    with ExitStack() as held:
        yield lambda: held.enter_context(reserved_port())


@pytest.fixture
def berlin() -> Iterator[None]:
    """The local zone is Berlin's."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()

"""The syncer: few records share a sync, and nobody who waits is kept waiting for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from logd.outputs import syncer
from logd.outputs.backoff import Backoff
from logd.outputs.health import Trouble
from logd.outputs.line import Item, Line
from logd.outputs.syncer import Syncer
from logd.outputs.work import Work
from logd.records.batch import Batch
from logd.records.context import Context

TIMEOUT_S = 60.0


def batch(records: int) -> Batch:
    """So many records."""
    context = Context(1, 2, "main", "I", (("a.py", 3),), 1, "f")
    return Batch(
        (context,), bytes(records), range(records), [0.0] * records, ["text"] * records, {}
    )


class Bench:
    """A syncer whose pauses last for ever, unless something presses."""

    def __init__(self) -> None:
        self.line, self.lock, self.backoff = Line(), threading.Lock(), Backoff()
        self.has_synced = threading.Semaphore(0)
        trouble = Trouble("", "", "", lambda line: None)
        self.syncer = Syncer(
            lambda: None, self.line, self.lock, self._finish, self.backoff, trouble
        )
        self.thread = threading.Thread(target=self.syncer.run)
        self.thread.start()

    def _finish(self, items: object) -> None:
        self.has_synced.release()

    def write(self, records: int = 1, **work: Any) -> None:
        """Some records were written."""
        acks = dict.fromkeys(work.pop("sessions", ()), 1)
        one = Work([batch(records)], acks, lambda work: None, **work)
        with self.lock:
            item = Item(one.batches, one.finish_one, one)
            self.line.written.append(item)
            self.syncer.notify([item])

    def is_synced(self, timeout_s: float = TIMEOUT_S) -> bool:
        """Whether a sync came."""
        return self.has_synced.acquire(timeout=timeout_s)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A syncer that has just synced."""
    monkeypatch.setattr(syncer, "SYNC_EVERY_S", 10 * TIMEOUT_S)
    bench = Bench()
    bench.write()
    assert bench.is_synced()
    yield bench
    bench.syncer.end()
    bench.thread.join(TIMEOUT_S)
    assert not bench.thread.is_alive()


def test_a_lone_record_that_nobody_waits_for_shares_a_sync(bench: Bench) -> None:
    """It waits for others; the end of the daemon does not wait for that."""
    bench.write()
    assert not bench.is_synced(0.05)
    bench.syncer.end()
    assert bench.is_synced()


@pytest.mark.parametrize(
    "press",
    [
        lambda bench: bench.write(is_awaited=True),
        lambda bench: bench.write(sessions=[b"client"]),
        lambda bench: bench.write(syncer.MANY_RECORDS),
    ],
    ids=["awaited", "acks", "many"],
)
def test_what_presses_is_synced_with_all_before(
    bench: Bench, press: Callable[[Bench], None]
) -> None:
    """A record that somebody may wait for, or many of them, end the pause."""
    bench.write()
    press(bench)
    assert bench.is_synced()
    bench.write()
    assert not bench.is_synced(0.01)


def test_several_sessions_share_a_sync(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several the acks come together; a lone one's does not wait so long."""
    monkeypatch.setattr(syncer, "ACKS_EVERY_S", 10 * TIMEOUT_S)
    bench.write(sessions=[b"one", b"other"])
    assert not bench.is_synced(5 * syncer.ACK_EVERY_S)
    bench.write(is_awaited=True)
    assert bench.is_synced()
    bench.write(sessions=[b"one"])
    assert bench.is_synced()

"""Records wait in bounds, are tried again, and none is lost unnoticed."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from logd.observers.delivery import DeliveryFailed, DeliveryLost, DeliveryQueue, DeliveryRefused

TIMEOUT_S = 60.0


class Receiver:
    """Takes batches, or fails as told; tells when something has come."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.tries = []
        self.taken = []
        self.changed = threading.Condition()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, batch, timeout_s):
        self.open.wait(TIMEOUT_S)
        with self.changed:
            self.tries.append(batch)
            self.changed.notify_all()
            if self.failures:
                failure = self.failures.pop(0)
                if failure is not None:
                    raise failure
            self.taken += batch

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, TIMEOUT_S)


@pytest.fixture
def make_queue():
    """Makes queues and closes them at the end."""
    queues = []

    def make(receiver, **changes):
        limits = {
            "max_records": 1_000,
            "max_bytes": 1_000_000,
            "batch_records": 10,
            "interval_s": 0.0,
            "tries": 3,
            "backoff_s": 0.001,
            "timeout_s": 5.0,
        }
        queue = DeliveryQueue("test receiver", receiver, **{**limits, **changes})
        queues.append(queue)
        return queue

    yield make
    for queue in queues:
        queue.close(TIMEOUT_S)


def test_order_and_batches(make_queue):
    """Records arrive in order, at most batch_records at once."""
    receiver = Receiver()
    queue = make_queue(receiver)
    for number in range(95):
        queue.put(number, 1)
    assert queue.close(TIMEOUT_S)
    assert receiver.taken == list(range(95))
    assert all(len(batch) <= 10 for batch in receiver.tries)
    assert (queue.delivered, queue.lost, queue.pending) == (95, 0, 0)


def test_interval_gathers(make_queue):
    """After the first batch records are gathered for the interval; closing does not wait for it."""
    receiver = Receiver()
    queue = make_queue(receiver, interval_s=3_600.0)
    queue.put(0, 1)
    receiver.wait_for(lambda: receiver.tries)
    for number in range(1, 6):
        queue.put(number, 1)
    assert queue.close(TIMEOUT_S)
    assert receiver.tries == [(0,), (1, 2, 3, 4, 5)]


def test_tries_again(make_queue):
    """A batch that failed is given again as the very same object, before anything else."""
    receiver = Receiver(DeliveryFailed("away"), DeliveryFailed("away"))
    receiver.open.clear()
    queue = make_queue(receiver)
    queue.put("a", 1)
    queue.put("b", 1)
    receiver.open.set()
    receiver.wait_for(lambda: "b" in receiver.taken)
    assert receiver.taken == ["a", "b"]
    assert receiver.tries[0] is receiver.tries[1] is receiver.tries[2]
    assert queue.lost == 0


def test_gives_up(make_queue, caplog):
    """After the last try a batch is lost: counted, in the daemon's log and told by the observer."""
    receiver = Receiver(*[DeliveryFailed("away")] * 3)
    queue = make_queue(receiver)
    queue.put("a", 1)
    receiver.wait_for(lambda: len(receiver.tries) == 3)
    while queue.lost == 0:
        threading.Event().wait(0.001)
    with pytest.raises(DeliveryLost, match=r"1 records not delivered .*: away \(3 tries\)"):
        queue.put("b", 1)
    assert queue.close(TIMEOUT_S)
    assert queue.lost == 1
    assert "a" not in receiver.taken
    assert "1 records lost: away (3 tries)" in caplog.text


def test_refused(make_queue):
    """A batch that was refused is not tried again; the next one is."""
    receiver = Receiver(DeliveryRefused("status 400"))
    queue = make_queue(receiver)
    queue.put("a", 1)
    receiver.wait_for(lambda: receiver.tries)
    assert not receiver.taken
    queue.close(TIMEOUT_S)
    assert (queue.lost, len(receiver.tries)) == (1, 1)


def test_unexpected_error(make_queue, caplog):
    """An error of ours costs a batch and is logged with its traceback; the thread goes on."""
    receiver = Receiver(ZeroDivisionError("oops"))
    queue = make_queue(receiver)
    queue.put("a", 1)
    receiver.wait_for(lambda: receiver.tries)
    while queue.lost == 0:
        threading.Event().wait(0.001)
    with pytest.raises(DeliveryLost, match="ZeroDivisionError: oops"):
        queue.put("b", 1)
    receiver.wait_for(lambda: receiver.taken == ["b"])
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("limits", "size", "kept"), [({"max_records": 5}, 1, 5), ({"max_bytes": 50}, 20, 2)]
)
def test_bounds(make_queue, limits, size, kept):
    """A full queue loses what comes, never what waits, and never holds anybody up."""
    receiver = Receiver()
    receiver.open.clear()
    queue = make_queue(receiver, batch_records=1, **limits)
    queue.put("first", 1)
    while queue.pending and queue._items:
        threading.Event().wait(0.001)
    lost = 0
    for number in range(10):
        try:
            queue.put(number, size)
        except DeliveryLost as exc:
            lost += 1
            assert "the queue is full" in str(exc)  # noqa: PT017 - only some calls raise
    assert (queue.lost, lost) == (10 - kept, 1)
    receiver.open.set()
    receiver.wait_for(lambda: len(receiver.taken) == kept + 1)
    assert receiver.taken == ["first", *range(kept)]


def test_losses_are_told_once_a_minute(make_queue):
    """Further losses are told together, a minute after the first ones."""
    now = 0.0
    receiver = Receiver(*[DeliveryRefused("no")] * 4)
    queue = make_queue(receiver, clock=lambda: now)
    told = []
    for number in range(4):
        try:
            queue.put(number, 1)
        except DeliveryLost as exc:
            told.append(str(exc))
        while queue.lost <= number:
            threading.Event().wait(0.001)
        now += 20.0
    with pytest.raises(DeliveryLost, match="3 records not delivered") as caught:
        queue.put(4, 1)
    told.append(str(caught.value))
    assert len(told) == 2
    assert "(4 since the start)" in told[1]


def test_close_with_a_dead_receiver(make_queue, caplog):
    """Closing tries each batch once more without pauses; what is left is counted and told."""
    receiver = Receiver(*[DeliveryFailed("away")] * 100)
    queue = make_queue(receiver, backoff_s=3_600.0)
    for number in range(25):
        queue.put(number, 1)
    receiver.wait_for(lambda: receiver.tries)
    with caplog.at_level(logging.WARNING):
        assert not queue.close(TIMEOUT_S)
    assert queue.close(TIMEOUT_S)
    assert queue.lost == 25
    assert "25 records not delivered (25 since the start): away" in caplog.text
    assert queue.pending == 0


def test_close_with_a_stuck_receiver(make_queue, caplog):
    """Closing ends after its time though the receiver never answers, and counts what it held."""
    receiver = Receiver()
    receiver.open.clear()
    queue = make_queue(receiver)
    queue.put("a", 1)
    queue.put("b", 1)
    assert not queue.close(0.05)
    assert queue.lost == 2
    assert "not delivered before the end" in caplog.text
    receiver.open.set()


def test_after_close(make_queue):
    """What comes after closing is lost, and told."""
    queue = make_queue(Receiver())
    assert queue.close(TIMEOUT_S)
    with pytest.raises(DeliveryLost, match="closed"):
        queue.put("late", 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(make_queue):
    """A child process delivers its own records and leaves its parent's alone."""
    receiver = Receiver()
    receiver.open.clear()
    queue = make_queue(receiver)
    queue.put("parent's", 1)
    pid = os.fork()
    if pid == 0:
        receiver.changed = threading.Condition()
        receiver.open = threading.Event()
        receiver.open.set()
        queue.put("child's", 1)
        delivered = queue.close(TIMEOUT_S)
        os._exit(0 if delivered and receiver.taken == ["child's"] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    receiver.open.set()
    assert queue.close(TIMEOUT_S)
    assert receiver.taken == ["parent's"]


@pytest.mark.parametrize(
    "limit", ["max_records", "max_bytes", "batch_records", "tries", "timeout_s"]
)
def test_limits_are_checked(make_queue, limit):
    """A limit of nothing is refused."""
    with pytest.raises(ValueError, match=limit):
        make_queue(Receiver(), **{limit: 0})
    with pytest.raises(ValueError, match="backoff_s"):
        make_queue(Receiver(), backoff_s=-1)

"""What stands between the buffer and the server.

What moves records:

- few records: the thread that logs them, within the call (`direct.py`);
- many, or a server that is away or slow: the sender's thread (`SenderThread`), in batches;
- the end of the process, or no thread to be had: again the thread that logs, or that waits.

How it ends is `sender.py`'s concern.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from logd_client import leftovers, lifecycle
from logd_client.buffer import Buffer
from logd_client.connection import ServerAddress
from logd_client.direct import DirectCourier
from logd_client.fallback import Fallback
from logd_client.journaledbuffer import JournaledBuffer
from logd_client.losses import LOSSES_AGAIN_S, Losses
from logd_client.natives import Lock, monotonic
from logd_client.outage import Outage
from logd_client.problems import SessionProblem
from logd_client.receipt import Receipt
from logd_client.senderthread import SenderThread
from logd_client.store import MemoryStore, SpoolStore, Store
from logd_client.undelivered import Undelivered

__all__ = ["Deliverer", "SenderSettings"]

_HERE_S = 1.0
"""How long a call may be held up by a server that is away, once, if there is no thread."""


class SenderSettings(NamedTuple):
    """What a sender needs to know; see `LogServerProxy` for the meaning."""

    address: ServerAddress
    token: str | None
    buffer_bytes: int
    block_timeout_s: float
    exit_timeout_s: float
    spool: Path | None
    spool_bytes: int
    fallback: Fallback | None = None


class Deliverer:
    """Delivers what is put in its buffer. All methods may be called from any thread.

    Args:
        settings: see `SenderSettings`.
        report: takes what people should know; called from any thread, must not raise.

    Attributes:
        buffer: where records are put.
    """

    # No `__dict__`: eventlet goes through those of all objects and puts locks of its own in place
    # of what it finds, when real threads use these already.
    __slots__ = (
        "__weakref__",
        "_changing",
        "_courier",
        "_exit_deadline",
        "_in_vain",
        "_is_ended",
        "_is_leaving",
        "_is_threadless",
        "_leftovers",
        "_losses",
        "_lost_before",
        "_outage",
        "_report",
        "_settings",
        "_thread",
        "_undelivered",
        "_was_in_vain",
        "buffer",
    )

    def __init__(self, settings: SenderSettings, report: Callable[[BaseException], None]) -> None:
        self._settings = settings
        self._report = report
        make_buffer = Buffer if settings.spool is None else JournaledBuffer
        self.buffer = make_buffer(
            settings.buffer_bytes, settings.block_timeout_s, self._on_record, self._wake
        )
        self.buffer.is_sender = lambda: self._courier.is_here
        self._leftovers: leftovers.LeftoverSender | None = None
        self._begin()
        self._courier.store.open()

    def _begin(self) -> None:
        """As new: at the start and in a child process."""
        self._changing = Lock()
        self._thread: SenderThread | None = None
        self._is_threadless = self._is_ended = self._was_in_vain = False
        self._exit_deadline = 0.0
        self._is_leaving = False
        self._in_vain = (0, 0.0)
        self._lost_before = 0
        settings = self._settings
        # What a spool has is not lost.
        fallback = settings.fallback if settings.spool is None else None
        self._undelivered = told = Undelivered(fallback, settings.address, self._report)
        self._losses = Losses(
            lambda: self.buffer.lost,
            lambda count: told.dropped(count, self.buffer.lost, self.last_error),
        )
        self._outage = Outage(
            self._count_at_risk, lambda count: told.at_risk(count, self.last_error)
        )
        self._begin_session()

    def _begin_session(self) -> None:
        settings = self._settings
        self._courier = DirectCourier(
            self.buffer, self._make_store, settings.address, settings.token, self._report
        )
        self._courier.is_spooled = settings.spool is not None
        if settings.spool is None:
            self.buffer.put_lone = self._courier.put_lone

    def _make_store(self, client_id: bytes) -> Store:
        settings = self._settings
        if settings.spool is None:
            return MemoryStore()
        assert isinstance(self.buffer, JournaledBuffer)  # noqa: S101
        if self._leftovers is None:
            # Its thread starts once the session has its folder; in a child, with its first record.
            self._leftovers = leftovers.LeftoverSender(
                settings.spool,
                settings.address,
                settings.token,
                self._report,
                self.buffer.shrink_journal,
            )
        store = SpoolStore(
            settings.spool,
            client_id,
            settings.spool_bytes,
            self._report,
            self._leftovers.start,
        )
        self.buffer.journal = store.journal
        return store

    # What others see.

    @property
    def exit_timeout_s(self) -> float:
        """How long the end of the process may be held up."""
        return self._settings.exit_timeout_s

    @property
    def lost(self) -> int:
        """Records that were dropped: the buffer was full, the server refused, the exit came."""
        return self.buffer.lost + self._courier.link.given_up + self._lost_before

    @property
    def acked(self) -> int:
        """Everything up to this sequence number is stored by the server."""
        return self._courier.session.acked

    @property
    def unacknowledged(self) -> int:
        """Records taken and not known to be stored by the server."""
        return self.buffer.last_sequence - self.acked

    @property
    def connected_to(self) -> str | None:
        """The server's address, None without a connection."""
        place = self._courier.link.connected_to
        return None if place is None else str(place)

    @property
    def last_error(self) -> str:
        """Why there is no connection, "" if there is one."""
        return self._courier.link.last_error

    @property
    def reconnects(self) -> int:
        """How often a connection was made anew."""
        return max(0, self._courier.link.reconnects)

    @property
    def client_id(self) -> bytes:
        """The session's id; another one in each process."""
        return self._courier.session.client_id

    # Records come.

    def _on_record(self) -> None:
        """A record was put while the thread sleeps: send it from here, or wake the thread."""
        if not lifecycle.SURELY_IN_PROCESS[0]:
            self.buffer.last_after(lifecycle.look_for_fork)
        courier = self._courier
        if not self.buffer.sender_sleeps:
            courier.send_gathered()  # if it can't, the thread does so
            return
        if courier.send_now():
            # The acknowledgement is the thread's business.
            is_done = self._is_threadless or (self._thread or self._start_thread()) is not None
        elif courier.is_known and self._thread is not None and not self._thread.has_ended:
            is_done = True
            if not courier.is_resting:
                self.buffer.stay_awake()  # until the thread looks again, soon
        else:
            is_done = self._wake()
        if not is_done and not courier.is_ended:
            self._deliver_late()

    def _wake(self) -> bool:
        """Let the thread look, started if there is none; False if there can be none."""
        thread = self._thread
        if thread is None or thread.has_ended:
            thread = self._start_thread()
        if thread is None:
            return False
        thread.wake()
        return True

    def _start_thread(self) -> SenderThread | None:
        # Without waiting: a signal handler may log in the midst of this.
        if self._is_threadless or not self._changing.acquire(False):
            return self._thread
        try:
            if self._thread is None or self._thread.has_ended:
                thread = SenderThread(self._courier, self.buffer, self._look)
                thread.start()
                self._thread = thread
        except RuntimeError as exc:
            self._is_threadless = True
            if "shutdown" not in str(exc):
                text = f"no thread can be started ({exc}): the threads that log send their records"
                self._report(SessionProblem(text))
        finally:
            self._changing.release()
        return self._thread

    def _deliver_late(self) -> None:
        """Send what waits from here: there is no thread, or none any more."""
        courier, link = self._courier, self._courier.link
        timeout_s = 0.0 if self._was_in_vain and not self._is_ended else _HERE_S
        self._deliver_here(
            lambda: (
                courier.is_ended or (self.buffer.is_empty and link.is_open and not link.is_busy)
            ),
            timeout_s,
        )
        self._was_in_vain = not link.is_open
        if self._is_ended and self._was_in_vain and monotonic() >= self._exit_deadline:
            target = self.buffer.last_sequence
            left = self._undelivered.rows_of(courier, target)
            self._lost_before += self._undelivered.end(courier, target, left)

    def _deliver_here(self, is_done: Callable[[], bool], timeout_s: float | None) -> None:
        """Do the thread's work in this one; at the end of the process within its time."""
        deadline = self._exit_deadline if self._is_ended else float("inf")
        if timeout_s is not None:
            deadline = min(deadline, monotonic() + timeout_s)
        self._courier.work(is_done, deadline, self._losses.look)
        self.buffer.tell_each()

    # Waiting for records.

    def watch(self, sequence: int) -> Future[int]:
        """A future that gets `sequence` once everything up to it is stored.

        Done callbacks run in the sender's thread and must be quick.
        """
        courier = self._courier
        future = courier.waiters.add_future(sequence)
        courier.waiters.resolve(courier.session.acked)
        if courier.is_ended:  # it may not have seen this future
            courier.waiters.fail()
        if not future.done():
            self._wake()
        return future

    def flush(self, timeout_s: float | None) -> Receipt:
        """Wait until all that was put before this call is stored; None waits forever."""
        lifecycle.look_for_fork()
        courier, sequence = self._position()
        is_stored = self._wait_in(courier, sequence, timeout_s)
        if not is_stored:
            self._in_vain = (sequence, monotonic())
        return Receipt(is_stored, courier.session.acked)

    def wait(self, sequence: int, timeout_s: float | None) -> bool:
        """Wait until everything up to the number is stored; True if it is.

        A finalizer or signal handler gets its answer at once if it interrupts what the thread
        would wait for: sending, or putting a record into the buffer.
        """
        return self._wait_in(self._courier, sequence, timeout_s)

    def _position(self) -> tuple[DirectCourier, int]:
        """The session of this moment, as its courier, and the number of its newest record."""
        while True:
            courier = self._courier
            sequence = self.buffer.last_sequence
            if courier is self._courier:
                return courier, sequence

    def _wait_in(self, courier: DirectCourier, sequence: int, timeout_s: float | None) -> bool:
        session = courier.session
        if session.acked >= sequence or courier.is_here or self.buffer.is_held_here:
            return session.acked >= sequence
        if self._is_ended:
            self._deliver_here(lambda: session.acked >= sequence, timeout_s)
            return session.acked >= sequence
        gate = courier.waiters.add_gate(sequence)
        courier.waiters.resolve(session.acked)
        if courier.is_ended:  # it may not have seen this gate
            courier.waiters.fail()
        if gate.is_open or self._wake():
            gate.wait(timeout_s)
        else:
            self._deliver_here(lambda: gate.is_open, timeout_s)
        if not gate.is_open:
            courier.waiters.forget(gate)
        return session.acked >= sequence

    # What people hear of.

    def _look(self) -> float:
        """The thread has done a step; returns after how many seconds it has to look again."""
        self._losses.look()
        self._outage.look()
        return LOSSES_AGAIN_S if self.buffer.gap_count else float("inf")

    def _count_at_risk(self) -> int:
        """How many records wait in memory only, while there is no connection."""
        link = self._courier.link
        if self._settings.spool is not None or link.connected_to is not None or not link.last_error:
            return 0
        return self.unacknowledged

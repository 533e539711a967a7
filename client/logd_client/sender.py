"""The thread between the buffer and the server, and what survives it.

A `Sender` takes records from the buffer in batches, encodes them and hands them to its `Link`.
It sends at once when there was silence; under load it lets batches grow for some milliseconds, so
that neither the app nor the server pays per record. With nothing to do it sleeps and uses no CPU.

The thread is a daemon thread and starts with the first record. `lifecycle` calls `after_fork`
and `shutdown`; after the latter, records that are still logged (by finalizers, by atexit functions
of the app) are sent by the logging thread itself within what is left of the exit time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from logd_client import leftovers, lifecycle
from logd_client.batcher import Batcher
from logd_client.buffer import Buffer
from logd_client.connection import ServerAddress
from logd_client.journaledbuffer import JournaledBuffer
from logd_client.link import CONNECT_TIMEOUT_S, Link, SessionProblem
from logd_client.receipt import Receipt
from logd_client.session import CLIENT_ID_BYTES, Entry, Session
from logd_client.spoolreader import SpoolPosition
from logd_client.store import MemoryStore, SpoolStore, Store
from logd_client.waiters import Waiters
from logd_client.wakeup import Wakeup, poll_alone

__all__ = ["Sender", "SenderSettings"]

_AWAY_LOOK_S = 0.25
_AWAY_LOOK_BUSY_S = 0.02
"""While the server takes nothing, records are looked at that often, so that a burst is encoded,
which saves most of its memory, before the buffer is full."""

_RETRY_WHEN_WAITED_FOR_S = 0.2

_DOZE_MAX_S = 5.0
"""How often a connection with nothing to do is looked at: whether the server has closed it."""


class SenderSettings(NamedTuple):
    """What a sender needs to know; see `LogServerProxy` for the meaning."""

    address: ServerAddress
    token: str | None
    buffer_bytes: int
    block_timeout_s: float
    exit_timeout_s: float
    spool: Path | None
    spool_bytes: int


class Sender:
    """Delivers what is put in its buffer. All methods may be called from any thread.

    Args:
        settings: see `SenderSettings`.
        report: takes what people should know; called from any thread, must not raise.

    Attributes:
        buffer: where records are put.
    """

    def __init__(self, settings: SenderSettings, report: Callable[[BaseException], None]) -> None:
        self._settings = settings
        self._report = report
        make_buffer = Buffer if settings.spool is None else JournaledBuffer
        self.buffer = make_buffer(settings.buffer_bytes, settings.block_timeout_s, self._wake)
        self.buffer.is_sender = self._is_sender
        self._leftovers: leftovers.LeftoverSender | None = None
        self._store: Store
        self._begin()
        lifecycle.register(self)
        self._store.open()

    def _begin(self) -> None:
        """A new session, nothing sent, no thread: at the start and in a child process."""
        self._thread: threading.Thread | None = None
        self._stepping = threading.Lock()
        self._starting = threading.Lock()
        self._stepper = 0
        self._is_stopping = False
        self._is_inline = False
        self._exit_deadline = 0.0
        self._wakeup: Wakeup | None = None
        self._seen_sequence = 0
        self._waiters = Waiters()
        self._leftovers = None
        self._lost_at_exit = 0
        client_id = os.urandom(CLIENT_ID_BYTES)
        self._store = self._make_store(client_id)
        self._session = Session(client_id, token=self._settings.token)
        self._batcher = Batcher(self.buffer, self._session, self._store)
        address = self._settings.address
        self._link = Link(self._session, self._store, address, self._report, self._acknowledged)
        self.buffer.sleep()

    def _make_store(self, client_id: bytes) -> Store:
        settings = self._settings
        if settings.spool is None:
            return MemoryStore()
        assert isinstance(self.buffer, JournaledBuffer)  # noqa: S101
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
    def lost(self) -> int:
        """Records that were dropped: the buffer was full, the server refused, the exit came."""
        return self.buffer.lost + self._link.given_up + self._lost_at_exit

    @property
    def acked(self) -> int:
        """Everything up to this sequence number is stored by the server."""
        return self._session.acked

    @property
    def unacknowledged(self) -> int:
        """Records taken and not yet stored by the server."""
        return self.buffer.last_sequence - self._session.acked

    @property
    def connected_to(self) -> str | None:
        """The server's address, None without a connection."""
        place = self._link.connected_to
        return None if place is None else str(place)

    @property
    def last_error(self) -> str:
        """Why there is no connection, "" where there is one."""
        return self._link.last_error

    @property
    def reconnects(self) -> int:
        """How often a connection was made anew."""
        return max(0, self._link.reconnects)

    @property
    def client_id(self) -> bytes:
        """The session's id; another one in each process."""
        return self._session.client_id

    # Waiting for records.

    def watch(self, sequence: int) -> Future[int]:
        """A future that gets `sequence` once everything up to it is stored.

        Done callbacks run in the sender's thread and must be quick.
        """
        future = self._waiters.add(sequence)
        self._waiters.resolve(self.acked)
        if not future.done():
            self._wake()
        return future

    def flush(self, timeout_s: float | None) -> Receipt:
        """Wait until all that was put before this call is stored; None waits for ever."""
        sequence = self.buffer.last_sequence
        if sequence > self.acked:
            self.wait(self.watch(sequence), timeout_s)
        return Receipt(self.acked >= sequence, self.acked)

    def wait(self, future: Future[int], timeout_s: float | None) -> bool:
        """Wait for a future of `watch`; True when it has its result."""
        if self._is_sender():
            return future.done()
        if self._is_inline:
            self._run_inline(future.done, timeout_s)
            return future.done()
        finished = threading.Event()
        future.add_done_callback(lambda _: finished.set())
        return finished.wait(timeout_s)

    def _acknowledged(self, entries: Sequence[Entry]) -> None:
        in_memory = [e.size for e in entries if not isinstance(e.frame, SpoolPosition)]
        if in_memory:
            self.buffer.release(sum(in_memory))
        self.buffer.stored(self.acked)
        self._waiters.resolve(self.acked)

    # The thread.

    def _is_sender(self) -> bool:
        return self._stepper == threading.get_ident()

    def _wake(self) -> None:
        """Let the thread look at the buffer; start it where there is none."""
        if self._is_inline:
            self._run_inline(lambda: self.buffer.is_empty and self._session.oldest is None, None)
            return
        if self._thread is None and not self._start_thread():
            return
        if (wakeup := self._wakeup) is not None:
            wakeup.wake()

    def _start_thread(self) -> bool:
        with self._starting:
            if self._thread is not None or self._is_stopping:
                return self._thread is not None
            self._wakeup = Wakeup()
            self._thread = threading.Thread(target=self._run, name="logd_client", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                # The interpreter shuts down and starts no more threads: `shutdown`, or the next
                # record after it, sends what is here.
                self._thread = None
                self._close_wakeup()
                return False
            return True

    def _run(self) -> None:
        while not self._is_stopping:
            self._step_safely(None, _never)

    def _run_inline(self, is_done: Callable[[], bool], timeout_s: float | None) -> None:
        """Do the thread's work in this one, within what is left of the exit time."""
        deadline = self._exit_deadline
        if timeout_s is not None:
            deadline = min(deadline, time.monotonic() + timeout_s)
        while not is_done():
            left = deadline - time.monotonic()
            if left <= 0 or not self._step_safely(left, is_done):
                break
        if self._stepping.acquire(blocking=False):
            # Each may be the last one, and nobody comes to close the connection afterwards.
            self._link.close()
            self._stepping.release()
        self.buffer.sleep()

    def _step_safely(self, timeout_s: float | None, is_done: Callable[[], bool]) -> bool:
        """One step; False where another thread is stepping for all the time given."""
        if self._is_sender():  # an error handler that logs
            return False
        if not self._stepping.acquire(timeout=-1 if timeout_s is None else timeout_s):
            return False
        self._stepper = threading.get_ident()
        try:
            self._step(timeout_s, is_done)
        except Exception as exc:  # top of the thread: report, then go on anew
            self._report(SessionProblem(f"internal error, trying again: {exc!r}"))
            self._link.close()
            time.sleep(0.1)
        finally:
            self._stepper = 0
            self._stepping.release()
        return True

    def _step(self, timeout_s: float | None, is_done: Callable[[], bool]) -> None:
        """Encode what is due, move bytes, and unless done, wait until there is more to do."""
        now = time.monotonic()
        if self._waiters:
            self._link.retry_soon(now, _RETRY_WHEN_WAITED_FOR_S)
        is_needed = self._is_stopping or self._settings.spool is not None
        if is_needed or self.buffer.has_full_batch or not self._link.is_busy:
            # Else it could not be sent yet: the batch may grow.
            self._batcher.collect(now, at_once=bool(self._waiters))
        self._link.step(CONNECT_TIMEOUT_S if timeout_s is None else timeout_s)
        if not is_done():
            self._pause(time.monotonic(), timeout_s)

    def _pause(self, now: float, timeout_s: float | None) -> None:
        """Wait for the socket, a wake-up, or the time of the next thing to do."""
        limits = [self._link.timeout_s(now), timeout_s]
        if now < self._batcher.collect_at:
            limits.append(self._batcher.collect_at - now)
        elif self.buffer.is_empty:
            if not self.buffer.sleep():
                return
        elif not self._link.is_busy and not self._store.is_full:
            return
        if not self.buffer.is_empty and (self._link.is_busy or self._store.is_full):
            limits.append(self._away_look_s())
        limit_s = min((limit for limit in limits if limit is not None), default=None)
        wakeup = self._wakeup
        if wakeup is not None and self.buffer.is_empty and self._may_doze(now):
            wakeup.doze(_DOZE_MAX_S if limit_s is None else min(limit_s, _DOZE_MAX_S))
        elif wakeup is not None:
            wakeup.poll(self._link.fileno(), self._link.poll_events, limit_s)
        else:
            poll_alone(self._link.fileno(), self._link.poll_events, limit_s)

    def _may_doze(self, now: float) -> bool:
        """Whether nothing is expected from the server, and nothing is due."""
        return now >= self._batcher.collect_at and not self._session.has_unacknowledged

    def _away_look_s(self) -> float:
        waiting = self.buffer.last_sequence
        grew, self._seen_sequence = waiting > self._seen_sequence, waiting
        return _AWAY_LOOK_BUSY_S if grew else _AWAY_LOOK_S

    # The end, of the process or of the parent's part in it.

    def close(self, timeout_s: float | None) -> Receipt:
        """Deliver what is left within the time (None: the exit timeout), stop, disconnect.

        What could not be delivered is counted and reported as lost, or left in the spool for the
        next process. Records put afterwards are dropped and counted.
        """
        if timeout_s is None:
            timeout_s = self._settings.exit_timeout_s
        deadline = time.monotonic() + timeout_s
        self.shutdown(deadline)
        lifecycle.unregister(self)
        if self._leftovers is not None:
            self._leftovers.stop(deadline)
        with self._stepping:
            self._is_inline = False
            self.buffer.close()
            self._link.close()
            is_all = self._session.oldest is None and self.buffer.is_empty
            self._store.close(is_delivered=is_all)
        self._waiters.fail()
        return Receipt(self.unacknowledged == 0, self.acked)

    def shutdown(self, deadline: float) -> None:
        """Deliver what is left until `deadline` (monotonic time), and stop the thread for good.

        From then on records are sent by the thread that logs them, until the deadline. Does
        nothing the second time.
        """
        if self._is_stopping:
            return
        self._exit_deadline = deadline
        is_spooling = self._settings.spool is not None
        # Daemon threads may go on logging: this is about what is there now.
        target = self.buffer.last_sequence
        if self._thread is not None and not (is_spooling and self._link.connected_to is None):
            self.flush(max(0.0, deadline - time.monotonic()))
        self._is_stopping = True
        self._stop_thread(deadline)
        # The thread is gone, or hangs: none that the interpreter freezes may hold our lock.
        self.buffer.prepare_for_exit()
        self._is_inline = True
        session = self._session
        self._run_inline(
            lambda: session.acked >= target or (is_spooling and session.next_sequence > target),
            None,
        )
        if isinstance(self.buffer, JournaledBuffer):
            # Records of threads that still log are in the journal: the folder stays for those.
            if session.oldest is None and self.buffer.end_journal():
                self._store.close(is_delivered=True)
        elif session.acked < target:
            self._lost_at_exit = target - session.acked
            reason = self.last_error or "no acknowledgement in time"
            self._report(
                SessionProblem(
                    f"{self._lost_at_exit} record(s) lost by pid {os.getpid()}: not delivered to "
                    f"{self._settings.address} before the end ({reason})"
                )
            )

    def _stop_thread(self, deadline: float) -> None:
        thread = self._thread
        if thread is None:
            return
        self._wake()
        thread.join(max(0.1, deadline - time.monotonic()))
        if not thread.is_alive():
            self._thread = None
            self._close_wakeup()

    def _close_wakeup(self) -> None:
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None:
            wakeup.close()

    def after_fork(self) -> None:
        """In a child process: let go of all that is the parent's and begin a session anew."""
        self._link.abandon()
        self._close_wakeup()
        self._store.abandon()
        if self._leftovers is not None:
            self._leftovers.abandon()
        self.buffer.reset()
        self._begin()

    def at_exit(self, began: float) -> None:
        """The process ends: `shutdown` within the time that the user set for it."""
        self.shutdown(began + self._settings.exit_timeout_s)


def _never() -> bool:
    """The thread is never done."""
    return False

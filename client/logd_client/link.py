"""One session over changing connections: connects, sends, takes acknowledgements, backs off.

A `Link` owns the socket and the clockwork of reconnecting; it neither starts threads nor encodes
records. Its owner calls `step` again and again, from one thread at a time.

Backing off: after a connection that brought something forward the next attempt comes at once;
after that the pause doubles up to some seconds, with jitter so that a thousand clients of one
restarted server do not come back in step. Where the server refuses (version, token, certificate)
a minute passes, for only a person can help there.
"""

from __future__ import annotations

import os
import random
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from enum import Enum

from logd_client.buffer import lost_row
from logd_client.connection import ConnectionFailed, Place, ServerAddress, open_connection
from logd_client.session import (
    REFUSED_FRAME,
    REFUSED_ORDER,
    REFUSED_STOPPING,
    Entry,
    Session,
    SessionEnded,
    SessionRefused,
    encode_batches,
)
from logd_client.store import Store

__all__ = ["Link", "SessionProblem"]

CONNECT_TIMEOUT_S = 5.0
RETRY_FIRST_S = 0.05
RETRY_MAX_S = 5.0
RETRY_REFUSED_S = 60.0
STALL_FIRST_S = 60.0
"""Without any acknowledgement for so long the connection is tried anew: its other end may be a
machine that is gone. Doubles each time, for a server whose database is away is silent too."""

STALL_MAX_S = 960.0
_SEND_BYTES = 512 * 1024
_RECEIVE_BYTES = 4096


_random = random.SystemRandom()
"""The app's own random numbers (`random.seed`) are none of our business."""

_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SessionProblem(Exception):
    """What keeps records from being delivered, in words for people; given to error handlers."""


class _Interest(Enum):
    """What the socket must become ready for."""

    READ = select.POLLIN
    READ_AND_WRITE = select.POLLIN | select.POLLOUT


class Link:
    """Delivers what `session` holds.

    Args:
        session: what is to be sent; the link is its only user.
        store: has the frames of the session's entries.
        address: where the server may be.
        report: takes `SessionProblem`s for people; must not raise.
        acknowledged: called with the entries that the server has stored, after the store knows.

    Attributes:
        connected_to: the place connected to, None without a connection.
        last_error: text of the last failure, "" without one since the last success.
        given_up: number of records that the server refused for good.
        reconnects: successful connections after the first.
    """

    def __init__(
        self,
        session: Session,
        store: Store,
        address: ServerAddress,
        report: Callable[[BaseException], None],
        acknowledged: Callable[[Sequence[Entry]], None],
    ) -> None:
        self.session = session
        self._store = store
        self._address = address
        self._report = report
        self._acknowledged = acknowledged
        self._socket: socket.socket | None = None
        self._outgoing = memoryview(b"")
        self._interest = _Interest.READ
        self._retry_at = 0.0
        self._retry_pause_s = 0.0
        self._stall_s = STALL_FIRST_S
        self._progress_at = 0.0
        # After a refused frame, one batch at a time until all that had been sent is through:
        # then it is known which one is refused.
        self._is_careful = False
        self._careful_until = 0
        self._suspect: Entry | None = None
        self._is_hopeless = False
        self._connected_at = 0.0
        self.connected_to: Place | None = None
        self.last_error = ""
        self.given_up = 0
        self.reconnects = -1

    @property
    def is_busy(self) -> bool:
        """True while the socket has not taken all that it was given: more would only queue."""
        return bool(self._outgoing) or self.session.has_unsent or self._socket is None

    def fileno(self) -> int:
        """Descriptor to poll, -1 without a connection."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def poll_events(self) -> int:
        """What to poll `fileno()` for."""
        return int(self._interest.value)

    def timeout_s(self, now: float) -> float | None:
        """After how long `step` has something to do even if nothing happens; None for never."""
        if self._socket is None:
            return max(0.0, self._retry_at - now)
        if self.session.has_unacknowledged:
            return max(0.0, self._progress_at + self._stall_s - now)
        return None

    def retry_soon(self, now: float, within_s: float) -> None:
        """Do not let a pause last longer than that from now: somebody waits."""
        if not self._is_hopeless:
            self._retry_at = min(self._retry_at, now + within_s)

    def step(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Do what can be done without waiting; only connecting waits, up to `timeout_s`.

        Never raises for what the network or the server do.
        """
        now = time.monotonic()
        if self._socket is None:
            if now < self._retry_at:
                return
            self._connect(min(timeout_s, CONNECT_TIMEOUT_S))
            if self._socket is None:
                return
        try:
            self._receive()
            self._send_or_hear_why_not()
        except SessionRefused as exc:
            self._refused(exc)
        except (SessionEnded, OSError) as exc:
            self._broken(exc)
        else:
            if self.session.has_unacknowledged and now - self._progress_at > self._stall_s:
                self._stall_s = min(self._stall_s * 2, STALL_MAX_S)
                self._broken(TimeoutError("no acknowledgement"))

    def close(self) -> None:
        """Close the connection; nothing is lost, the session can be continued by a new one."""
        self._outgoing = memoryview(b"")
        self._interest = _Interest.READ
        self._suspect = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.connected_to = None
        self.session.lost()

    def abandon(self) -> None:
        """Close the copy of the socket that a child process inherited; the parent's goes on."""
        if self._socket is not None:
            # Only the descriptor: a TLS farewell would be sent in the parent's name.
            os.close(self._socket.detach())
            self._socket = None

    def _connect(self, timeout_s: float) -> None:
        """Try each place once; the first that answers as a logd server is used."""
        failures: list[str] = []
        is_refusal = is_odd = False
        for place in self._address.places():
            try:
                opening = self.session.opening()
                self._socket, answer = open_connection(self._address, place, opening, timeout_s)
                self._done(self.session.receive_data(answer))
            except SessionRefused as exc:
                self.connected_to = place
                self._refused(exc)
                return
            except SessionEnded as exc:
                failures.append(f"{place}: {exc}")
                self.close()
                continue
            except ConnectionFailed as exc:
                failures.append(str(exc))
                is_refusal = is_refusal or exc.is_refusal
                is_odd = is_odd or exc.is_odd
                self.session.lost()
                continue
            self.connected_to = place
            self.last_error = ""
            self.reconnects += 1
            self._connected_at = self._progress_at = time.monotonic()
            return
        self.last_error = "; ".join(failures)
        if is_odd:
            self._report(SessionProblem(self.last_error))
        self._pause(RETRY_REFUSED_S if is_refusal else None)

    def _pause(self, pause_s: float | None = None) -> None:
        self._is_hopeless = pause_s is not None
        if pause_s is None:
            self._retry_pause_s = min(max(self._retry_pause_s * 2, RETRY_FIRST_S), RETRY_MAX_S)
            pause_s = self._retry_pause_s
        jitter = _random.uniform(0.5, 1.0)
        self._retry_at = time.monotonic() + pause_s * jitter

    def _receive(self) -> None:
        """Take what the server sent so far."""
        while self._socket is not None:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except _NOT_NOW:
                return
            if not data:
                raise ConnectionResetError("closed by the server")
            self._done(self.session.receive_data(data))
            if len(data) < _RECEIVE_BYTES and not isinstance(self._socket, ssl.SSLSocket):
                return

    def _send_or_hear_why_not(self) -> None:
        """Send; where that fails, a refusal that arrived meanwhile is the better error."""
        try:
            self._send()
        except OSError:
            self._receive()
            raise

    def _send(self) -> None:
        """Send until nothing is left or the socket takes no more."""
        assert self._socket is not None  # noqa: S101
        while True:
            if not self._outgoing:
                self._outgoing = memoryview(self._next_bytes())
                if not self._outgoing:
                    self._interest = _Interest.READ
                    return
            try:
                sent = self._socket.send(self._outgoing)
            except _NOT_NOW:
                self._interest = _Interest.READ_AND_WRITE
                return
            self._outgoing = self._outgoing[sent:]

    def _next_bytes(self) -> bytes:
        was_waiting = self.session.has_unacknowledged
        if self._is_careful:
            if self.session.acked >= self._careful_until:
                self._is_careful = False
            elif was_waiting:
                return b""
        entries = self.session.take(0 if self._is_careful else _SEND_BYTES)
        if self._is_careful and entries:
            self._suspect = entries[0]
        if entries and not was_waiting:
            self._progress_at = time.monotonic()
        try:
            return b"".join([self._store.load(entry) for entry in entries])
        except OSError as exc:
            self._report(SessionProblem(f"a spooled batch can't be read: {exc}"))
            raise

    def _done(self, entries: Sequence[Entry]) -> None:
        """The server has stored these."""
        if not entries:
            return
        self._progress_at = time.monotonic()
        self._retry_pause_s = 0.0
        self._stall_s = STALL_FIRST_S
        self._store.acknowledge(self.session.acked)
        self._acknowledged(entries)

    def _broken(self, exc: BaseException) -> None:
        self.last_error = f"{self.connected_to}: {exc}"
        self._done(getattr(exc, "acknowledged", ()))
        if time.monotonic() - self._connected_at > RETRY_MAX_S:
            self._retry_pause_s = 0.0
        self.close()
        self._pause()

    def _refused(self, exc: SessionRefused) -> None:
        """The server said no: whether and when it is worth another try depends on why."""
        place = self.connected_to
        self._done(exc.acknowledged)
        suspect = self._suspect
        self.close()
        self.last_error = f"{place}: refused: {exc}"
        if exc.code == REFUSED_FRAME:
            if suspect is not None and suspect == self.session.oldest:
                self._give_up(suspect)
            self._is_careful = True
            self._careful_until = self.session.sent_sequence
        elif exc.code not in (REFUSED_STOPPING, REFUSED_ORDER):
            self._report(SessionProblem(self.last_error))
            self._pause(RETRY_REFUSED_S)
            return
        self._pause()

    def _give_up(self, refused: Entry) -> None:
        """Put a word about it in the place of a batch that the server will never take."""
        pid = os.getpid()
        text = (
            f"{refused.records} record(s) lost by pid {pid}: "
            "the server refused them as malformed or too large"
        )
        row = lost_row(refused.records, pid, time.time(), text)
        (notice,) = encode_batches(refused.last, [row])
        self.session.replace_oldest(notice)
        self.given_up += refused.records
        self._report(SessionProblem(text))
        # The memory of the refused batch is counted as the notice's from here on.
        self._acknowledged([refused._replace(size=refused.size - notice.size)])

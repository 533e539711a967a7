"""One session over changing connections: connects, sends, takes acknowledgements, backs off.

A `Link` owns the connection. It neither starts threads nor
encodes records, and it never waits: not for a connection, not for an answer. Only a host's name is
looked up in `step`, which may take long. Its owner calls `step` again and again, from one thread at
a time, and waits for what `wanted` and `timeout_s` say in between.

Its parts: `search.py` looks for a server, `channel.py` moves the bytes, `outgoing.py` says which,
`roaming.py` to which server, `silence.py` when a connection is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from logd_client.approach import NoServer
from logd_client.channel import NOT_NOW, Channel
from logd_client.clientsession import Session, SessionState
from logd_client.connection import ConnectionFailed, Place, ServerAddress
from logd_client.descriptors import GuardedSocket, ShortWay
from logd_client.natives import monotonic, wait_ready
from logd_client.outgoing import Outgoing
from logd_client.problems import SessionProblem
from logd_client.records import EncodedBatch
from logd_client.roaming import Roaming
from logd_client.search import Search
from logd_client.session import (
    REFUSED_FRAME,
    REFUSED_ORDER,
    REFUSED_STOPPING,
    SessionEnded,
    SessionRefused,
)
from logd_client.silence import Silence
from logd_client.store import Store

__all__ = ["Link"]

_HEAR_S = 4.0
"""For how long lone records are sent without a look at what the server says: it costs as much as
to send two. The sender's thread, if it lives, looks before that."""


class Link:
    """Delivers what `session` holds.

    Args:
        session: what is to be sent; the link is its only user.
        store: has the frames of the session's entries.
        address: where the server may be.
        report: takes `SessionProblem`s for people; must not raise.
        acknowledged: called with the entries that the server has stored, after the store knows.

    Attributes:
        short_way: how the next frame may go out past the link, at once; None if it may not.
        hear_at: the time (monotonic) from which on `step` should be called before that.
        silence: when the connection is dead.
        connected_to: the place connected to, None without a connection.
        last_error: text of the last failure, "" without one since the last success.
        reconnects: successful connections after the first.
    """

    def __init__(
        self,
        session: Session,
        store: Store,
        address: ServerAddress,
        report: Callable[[BaseException], None],
        acknowledged: Callable[[Sequence[EncodedBatch]], None],
    ) -> None:
        self.session = session
        self._store = store
        self._report = report
        self._acknowledged = acknowledged
        self._channel: Channel | None = None
        self._roaming = Roaming(address, session)
        self._search = Search(address, self._roaming)
        self.silence = Silence(self._roaming)
        self.hear_at = 0.0
        self._outgoing = Outgoing(session, store, report, self._freed)
        self.short_way: ShortWay | None = None
        self.connected_to: Place | None = None
        self.last_error = ""
        self.reconnects = -1

    @property
    def given_up(self) -> int:
        """Number of records that the server refused for good, or that could not be read."""
        return self._outgoing.lost

    @property
    def is_busy(self) -> bool:
        """True while the socket has not taken all that it was given: more would only queue."""
        return self._is_sending or self.session.has_unsent or not self.is_open

    @property
    def _is_sending(self) -> bool:
        return self._channel is not None and self._channel.is_busy

    @property
    def is_open(self) -> bool:
        """True while there is a connection that the session may send on."""
        return self._channel is not None and self.session.may_send

    @property
    def wanted(self) -> tuple[int, int]:
        """The descriptor to wait for, -1 without one, and the events."""
        if self._channel is not None:
            return self._channel.wanted
        return self._search.wanted

    def timeout_s(self, now: float) -> float | None:
        """After how long `step` has something to do even if nothing happens; None for never."""
        has_socket = self._channel is not None
        if self._search.has_begun or not has_socket:
            return self._search.left_s(now, has_socket=has_socket)
        back_s = self._roaming.back_s(now)
        if self.session.has_unacknowledged:
            silence_s = self.silence.left_s(now)
            return min(silence_s, back_s) if back_s else silence_s
        return back_s

    def retry_soon(self, now: float, within_s: float) -> None:
        """Do not let a pause last longer than that from now: somebody waits."""
        self._search.end_pause_within(now, within_s)

    def step(self) -> None:
        """Do what can be done now. Never raises for what the network or the server do."""
        try:
            if self._channel is None:
                self._connected(self._search.advance())
                if self._channel is None:
                    return
            self._move_bytes()
        except NoServer as exc:
            self._not_found(exc)
        self._look_if_clear()

    def send_at_once(self, within_s: float, answer_within_s: float) -> bool:
        """Send what the session holds; True if all of it went into the kernel.

        Args:
            within_s: how long it may take to connect first, to a place that is sure; some longer
                on this machine. What is not done by then goes on in `step`.
            answer_within_s: how long the server may take to answer then, if it has to before
                anything may be sent.
        """
        plan = self._search.plan
        try:
            if self._channel is None:
                if not self.may_connect:
                    return False
                self._connected(self._search.advance_within(within_s))
                if self._channel is None:
                    return False
            self._move_bytes()
            answer_by = monotonic() + answer_within_s
            while self._is_answer_awaited and (left_s := answer_by - monotonic()) > 0:
                wait_ready([self.wanted], left_s)
                self._move_bytes()
        except NoServer as exc:
            self._not_found(exc, plan)
        self._look_if_clear()
        return not self.is_busy

    @property
    def _is_answer_awaited(self) -> bool:
        return self._channel is not None and not self.session.may_send

    @property
    def is_pausing(self) -> bool:
        """True while no connection is tried."""
        return self._channel is None and not self._search.has_begun

    @property
    def may_connect(self) -> bool:
        """True if `send_at_once` may connect: the pause is over, or a record came long into it."""
        return self._channel is None and self._search.may_begin_for_records

    def _look_if_clear(self) -> None:
        channel = self._channel
        is_clear = (
            channel is not None
            and not channel.is_busy
            and self._outgoing.is_plain
            and self.session.is_clear
            and not self._roaming.is_back_due(monotonic())
        )
        self.short_way = channel.short_way if channel is not None and is_clear else None

    def check(self) -> None:
        """Make sure that what goes the short way reaches the connection. Raises OSError."""
        if self._channel is not None:
            self._channel.check()

    def send_rest(self, frame: bytes, exc: OSError | None = None) -> None:
        """Go on with the rest of a frame that did not get through the short way, in `step`."""
        self.short_way = None
        if exc is None or isinstance(exc, NOT_NOW):
            if self._channel is not None:
                self._channel.keep(frame)
            return
        try:
            self._receive()  # a refusal that arrived meanwhile is the better error
        except SessionRefused as refusal:
            self._refused(refusal)
        except (SessionEnded, OSError):
            self._broken(exc)
        else:
            self._broken(exc)

    def _move_bytes(self) -> None:
        try:
            assert self._channel is not None  # noqa: S101
            self._channel.check()
            self._receive()
            self._send_or_hear_why_not()
        except SessionRefused as exc:
            self._refused(exc)
        except (SessionEnded, ConnectionFailed, OSError) as exc:
            self._broken(exc)
        else:
            self._look_at_clock(monotonic())

    def _look_at_clock(self, now: float) -> None:
        if self._search.has_begun:
            if self._search.is_late(now):
                self.close_socket()
                self._search.next_place()
        elif self.session.has_unacknowledged:
            if self.silence.is_over(now):
                self._broken(TimeoutError("no acknowledgement"))
        elif self._roaming.is_back_due(now) and not self._is_sending:
            self.close()
            self._roaming.go_back()
            self._search.end_pause()

    def close_socket(self) -> None:
        """Close the connection, if there is one; the search may go on."""
        self.short_way = None
        self._outgoing.take_suspect()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.connected_to = None
        self.session.lost()

    def close(self) -> None:
        """Close the connection; nothing is lost, the session can be continued by a new one."""
        self.close_socket()
        self._search.close()

    def abandon(self) -> None:
        """Close the copy of the socket that a child process inherited; the parent's goes on."""
        self.short_way = None
        if self._channel is not None:
            self._channel.abandon()
            self._channel = None
        self._search.close()

    def _connected(self, connected: GuardedSocket | None) -> None:
        self._channel = None if connected is None else Channel(connected)

    def _answered(self) -> None:
        """The server has greeted: this is the connection."""
        self.connected_to = self._search.found()
        self.last_error = ""
        self.reconnects += 1
        self.silence.alive_at = monotonic()

    def _not_found(self, exc: NoServer, plan: tuple[float, float] | None = None) -> None:
        self.close()
        self.last_error = self._roaming.explained(str(exc))
        self._roaming.is_going_back = False
        if exc.is_odd:
            self._report(SessionProblem(self.last_error))
        self._search.gave_up(exc, plan)

    def pause(self) -> None:
        """Make no connection for a while."""
        self._search.pause()

    def _receive(self) -> None:
        """Take what the server sent so far."""
        heard_at = monotonic()
        self.hear_at = heard_at + _HEAR_S
        channel = self._channel
        for data in () if channel is None else channel.receive():
            self.silence.alive_at = heard_at
            self._search.check_answer(data)
            self._done(self.session.receive_data(data))
            if self._search.has_begun and self.session.state is SessionState.OPEN:
                self._answered()
            if self._channel is not channel:
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
        assert self._channel is not None  # noqa: S101
        while self._channel.send(b""):
            data = self._next_bytes()
            if not data or not self._channel.send(data):
                return

    def _next_bytes(self) -> bytes:
        if self._roaming.is_back_due(monotonic()):
            # With nothing on its way either: under load there is always a next batch.
            return b""
        was_waiting = self.session.has_unacknowledged
        data = self._outgoing.take()
        if data and not was_waiting:
            self.silence.alive_at = monotonic()
        if data and self._search.place is not None:
            self._roaming.sent(self._search.place)
        return data

    def _done(self, entries: Sequence[EncodedBatch]) -> None:
        """The server has stored these."""
        if not entries:
            return
        self._search.was_worth_it()
        self.silence.acknowledged(monotonic())
        self._store.acknowledge(self.session.acked)
        self._acknowledged(entries)

    def _broken(self, exc: BaseException) -> None:
        if self._search.has_begun:
            # Before the server answered: it may be another one's place.
            self.close_socket()
            self._search.failed(exc)
            return
        self.last_error = f"{self.connected_to}: {exc}"
        self._roaming.left(self.connected_to)
        self._done(getattr(exc, "acknowledged", ()))
        self.close()
        self._search.pause_after_break()

    def _refused(self, exc: SessionRefused) -> None:
        """The server said no: whether and when it is worth another try depends on why."""
        place = self._search.place or self.connected_to
        if self._search.has_begun and exc.code != REFUSED_FRAME:
            # Another place may be of another mind.
            is_final = exc.code not in (REFUSED_STOPPING, REFUSED_ORDER)
            self.close_socket()
            self._search.failed(ConnectionFailed(f"{place}: refused: {exc}", is_refusal=is_final))
            return
        self._roaming.left(place)
        self._done(exc.acknowledged)
        suspect = self._outgoing.take_suspect()
        self.close()
        self.last_error = f"{place}: refused: {exc}"
        if exc.code == REFUSED_FRAME:
            self._outgoing.refused(suspect)
        elif exc.code not in (REFUSED_STOPPING, REFUSED_ORDER):
            self._report(SessionProblem(self.last_error))
            self._search.pause_for_people()
            return
        self._search.pause()

    def _freed(self, size: int) -> None:
        """Entries were replaced by such as take this many bytes of memory less."""
        self._acknowledged([EncodedBatch(0, 0, size, b"")])

"""One session over changing connections: connects, sends, takes acknowledgements, backs off.

A `Link` owns the connection and the clockwork of reconnecting. It neither starts threads nor
encodes records, and it never waits: not for a connection, not for an answer. Only a host's name is
looked up in `step`, which may take long. Its owner calls `step` again and again, from one thread at
a time, and waits for what `wanted` and `timeout_s` say in between.

Its parts: `channel.py` moves the bytes, `outgoing.py` says which, `roaming.py` to which server,
`backoff.py` how long the pauses between attempts are, `silence.py` when a connection is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from logd_client.approach import Approach, NoServer
from logd_client.backoff import RETRY_MAX_S, Backoff
from logd_client.channel import NOT_NOW, Channel
from logd_client.clientsession import Session, SessionState
from logd_client.connection import ConnectionFailed, Place, ServerAddress
from logd_client.descriptors import ShortWay
from logd_client.natives import READABLE, monotonic, wait_ready
from logd_client.outgoing import Outgoing
from logd_client.problems import SessionProblem
from logd_client.records import EncodedBatch
from logd_client.roaming import Roaming
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

_HEAR_S = 1.0
"""For how long lone records are sent without a look at what the server says: it costs as much as
to send two."""


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
        self._address = address
        self._report = report
        self._acknowledged = acknowledged
        self._approach: Approach | None = None
        self._channel: Channel | None = None
        self._backoff = Backoff()
        self._roaming = Roaming(address, session)
        self.silence = Silence(self._roaming)
        self.hear_at = 0.0
        self._outgoing = Outgoing(session, store, report, self._freed)
        self._connected_at = 0.0
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
        wanted = None if self._approach is None else self._approach.wanted
        return (-1, READABLE) if wanted is None else wanted

    def timeout_s(self, now: float) -> float | None:
        """After how long `step` has something to do even if nothing happens; None for never."""
        if self._approach is not None:
            if self._channel is None and self._approach.wanted is None:
                return 0.0
            return max(0.0, self._approach.deadline - now)
        if self._channel is None:
            return self._backoff.left_s(now)
        back_s = self._roaming.back_s(now)
        if self.session.has_unacknowledged:
            silence_s = self.silence.left_s(now)
            return min(silence_s, back_s) if back_s else silence_s
        return back_s

    def retry_soon(self, now: float, within_s: float) -> None:
        """Do not let a pause last longer than that from now: somebody waits."""
        self._backoff.end_within(now, within_s)

    def step(self) -> None:
        """Do what can be done now. Never raises for what the network or the server do."""
        try:
            if self._channel is None and not self._advance():
                return
            self._move_bytes()
        except NoServer as exc:
            self._not_found(exc)
        self._look_if_clear()

    def send_at_once(self, within_s: float, answer_within_s: float) -> bool:
        """Send what the session holds; True if all of it went into the kernel.

        Args:
            within_s: how long it may take to connect first, to a place that is sure. What is not
                done by then goes on in `step`.
            answer_within_s: how long the server may take to answer then, if it has to before
                anything may be sent.
        """
        deadline = monotonic() + within_s
        planned = self._backoff.plan
        try:
            if self._channel is None and not self._connect_at_once(deadline):
                return False
            self._move_bytes()
            answer_by = monotonic() + answer_within_s
            while self._is_answer_awaited and (left_s := answer_by - monotonic()) > 0:
                wait_ready([self.wanted], left_s)
                self._move_bytes()
        except NoServer as exc:
            self._not_found(exc)
            self._backoff.pause_as_planned(planned)
        self._look_if_clear()
        return not self.is_busy

    @property
    def _is_answer_awaited(self) -> bool:
        return self._channel is not None and not self.session.may_send

    @property
    def is_pausing(self) -> bool:
        """True while no connection is tried."""
        return self._channel is None and self._approach is None

    @property
    def may_connect(self) -> bool:
        """True if `send_at_once` may connect: the pause is over, or a record came long into it."""
        return self.is_pausing and self._backoff.is_over_for_records

    def _look_if_clear(self) -> None:
        channel = self._channel
        is_clear = (
            channel is not None
            and not channel.is_busy
            and self._outgoing.is_plain
            and self.session.is_clear
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
        if self._approach is not None:
            if now > self._approach.deadline:
                self.close_socket()
                self._approach.too_late()
        elif self.session.has_unacknowledged:
            if self.silence.is_over(now):
                self._broken(TimeoutError("no acknowledgement"))
        elif self._roaming.is_back_due(now) and not self._is_sending:
            self.close()
            self._roaming.go_back()
            self._backoff.end_pause()

    def close_socket(self) -> None:
        """Close the connection, if there is one; the approach may go on."""
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
        if self._approach is not None:
            self._approach.close()
            self._approach = None

    def abandon(self) -> None:
        """Close the copy of the socket that a child process inherited; the parent's goes on."""
        self.short_way = None
        if self._channel is not None:
            self._channel.abandon()
            self._channel = None
        if self._approach is not None:
            self._approach.close()
            self._approach = None

    def _advance(self) -> bool:
        """Go on connecting if it is time; True once there is a socket."""
        if self._approach is None:
            if not self._backoff.is_over:
                return False
            self._approach = self._roaming.approach()
        return self._has_connected(self._approach)

    def _has_connected(self, approach: Approach) -> bool:
        connected = approach.advance()
        self._channel = None if connected is None else Channel(connected)
        return connected is not None

    def _connect_at_once(self, deadline: float) -> bool:
        if not self.may_connect:
            return False
        approach = self._roaming.quick_approach()
        if approach is None:
            return False
        self._approach = approach
        while not self._has_connected(approach):
            # What is ready counts, even if this thread had to wait long for its turn.
            left_s = max(0.0, deadline - monotonic())
            if approach.wanted is None or not wait_ready([approach.wanted], left_s):
                return False
        return True

    @property
    def _place(self) -> Place:
        """The place of the connection, or the one that is tried."""
        place = self.connected_to if self._approach is None else self._approach.place
        assert place is not None  # noqa: S101
        return place

    def _answered(self) -> None:
        """The server has greeted: this is the connection."""
        assert self._approach is not None  # noqa: S101
        self.connected_to = self._approach.place
        self._approach = None
        self._roaming.answered(self.connected_to, monotonic())
        self.last_error = ""
        self.reconnects += 1
        self._connected_at = self.silence.alive_at = monotonic()

    def _not_found(self, exc: NoServer) -> None:
        self.close()
        self.last_error = self._roaming.explained(str(exc))
        self._roaming.is_going_back = False
        if exc.is_odd:
            self._report(SessionProblem(self.last_error))
        if exc.is_refusal:
            self._backoff.pause_for_people()
        else:
            self._backoff.pause()

    def pause(self) -> None:
        """Make no connection for a while."""
        self._backoff.pause()

    def _receive(self) -> None:
        """Take what the server sent so far."""
        heard_at = monotonic()
        self.hear_at = heard_at + _HEAR_S
        channel = self._channel
        for data in () if channel is None else channel.receive():
            self.silence.alive_at = heard_at
            if self._approach is not None:
                self._address.check_answer(data, self._approach.place)
            self._done(self.session.receive_data(data))
            if self._approach is not None and self.session.state is SessionState.OPEN:
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
        if data and self._approach is not None:
            self._roaming.sent(self._approach.place)
        return data

    def _done(self, entries: Sequence[EncodedBatch]) -> None:
        """The server has stored these."""
        if not entries:
            return
        self._backoff.begin_anew()
        self.silence.acknowledged(monotonic())
        self._store.acknowledge(self.session.acked)
        self._acknowledged(entries)

    def _broken(self, exc: BaseException) -> None:
        if self._approach is not None:
            # Before the server answered: it may be another one's place.
            self.close_socket()
            self._approach.failed(self._address.explained(exc, self._approach.place))
            return
        self.last_error = f"{self.connected_to}: {exc}"
        self._roaming.left(self.connected_to)
        self._done(getattr(exc, "acknowledged", ()))
        if monotonic() - self._connected_at > RETRY_MAX_S:
            self._backoff.begin_anew()
        self.close()
        self._backoff.pause()

    def _refused(self, exc: SessionRefused) -> None:
        """The server said no: whether and when it is worth another try depends on why."""
        if self._approach is not None and exc.code != REFUSED_FRAME:
            # Another place may be of another mind.
            is_final = exc.code not in (REFUSED_STOPPING, REFUSED_ORDER)
            text = f"{self._approach.place}: refused: {exc}"
            self.close_socket()
            self._approach.failed(ConnectionFailed(text, is_refusal=is_final))
            return
        place = self._place
        self._roaming.left(place)
        self._done(exc.acknowledged)
        suspect = self._outgoing.take_suspect()
        self.close()
        self.last_error = f"{place}: refused: {exc}"
        if exc.code == REFUSED_FRAME:
            self._outgoing.refused(suspect)
        elif exc.code not in (REFUSED_STOPPING, REFUSED_ORDER):
            self._report(SessionProblem(self.last_error))
            self._backoff.pause_for_people()
            return
        self._backoff.pause()

    def _freed(self, size: int) -> None:
        """Entries were replaced by such as take this many bytes of memory less."""
        self._acknowledged([EncodedBatch(0, 0, size, b"")])

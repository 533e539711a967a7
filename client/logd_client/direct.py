"""What threads that log send within their calls, in as little code as can be.

Three ways, by how many records there are:

- few: each record goes past the buffer into the socket (`put_lone`);
- some hundreds a second: they wait in the buffer, and the first call after 20 ms sends them all
  (`send_gathered`); the sender's thread looks a little later for what no call has sent
  (`send_late`);
- more, or a socket that takes no more: the sender's thread does all of it (`Courier.step`).

The code of an app at modest rates is forgotten by the processor's caches between two records: what
counts is how many functions a record goes through, not what they do.
"""

from __future__ import annotations

from collections.abc import Iterator

from logd_client import lifecycle
from logd_client.batcher import LATE_S
from logd_client.buffer import NEVER
from logd_client.courier import Courier
from logd_client.descriptors import SO_COOKIE, SOL_SOCKET
from logd_client.lone import encode_lone
from logd_client.natives import acquire_within, monotonic
from logd_client.pace import BURST_AFTER_LOAD_S, BURST_S, STEP_S
from logd_client.records import AnyRow, Context, Items
from logd_client.rows import UNFIT, encode_fitting, fitted

__all__ = ["DirectCourier"]

_IN_PROCESS = lifecycle.SURELY_IN_PROCESS

_CONNECT_AT_ONCE_S = 0.003
"""How long the first record of a process may wait for a connection before its call returns."""

_ANSWER_AT_ONCE_S = 0.05
"""How long the first record that finds a server back waits for its answer, once: one that started
just now is slow, and the process may be about to end."""

_PATIENCE_S = 0.001
"""How long a lone record may wait for another thread's step before its call returns."""

_PATIENCE_IF_OPEN_S = 0.02
"""The same while there is a connection: then steps are short, unless the machine is busy."""

_MAX_LONE = 100
"""With more records in the buffer, none of them is a lone one."""

_MAX_WAITED = 2000
"""At most this many records that waited for a server are sent by the thread that logs."""


class DirectCourier(Courier):
    """See the module."""

    _due = 0.0
    """When the next lone record is due (monotonic time); see `pace.py`."""

    def put_lone(  # noqa: C901 - one function on purpose, see below
        self, context: Context, ids: Iterator[int], when: float, msg: str, items: Items
    ) -> int | None:
        """Send a record past the buffer; see `Buffer.put_lone`.

        One function, which knows what the buffer, the session and the link have inside: it is
        called after milliseconds in which the processor has forgotten all this code. Then each
        function that is called costs some microseconds, whatever it does.
        """
        moving = self._moving
        # Not if this call interrupts one that moves records, nor in a child of the process.
        if moving._is_owned() or not _IN_PROCESS[0] or not moving.acquire(False):
            return None
        buffer, link = self._buffer, self.link
        msgid, is_sent = None, True
        try:
            now, due, way = monotonic(), self._due, link.short_way
            if due > now or way is None:
                return None
            if now > link.hear_at or buffer.held > buffer.much_held:
                link.step()
                way = link.short_way
                if way is None:
                    return None
            session = self.session
            with buffer.lock:
                if buffer.rows or buffer.gap_count or buffer.room <= 0 or self.is_ended:
                    return None
                earliest = now - BURST_S
                self._due = (due if due > earliest else earliest) + STEP_S  # noqa: FURB136
                msgid = next(ids)
                number = session.next_sequence
                row = context, msgid, when, msg, items
                try:
                    entry = encode_lone(number, row)
                except UNFIT:
                    entry = encode_lone(number, fitted(row))
                _, _, size, frame = entry
                # No call in between, so that nothing interrupts what belongs together.
                buffer.numbered += 1
                buffer.held += size
                buffer.room -= size
                session.sent_sequence = number
                session.next_sequence = number + 1
                is_first = not session.sent
                session.sent.append(entry)
            if is_first:
                link.silence.alive_at = now
            cookie, ask, send = way
            try:
                if not cookie or ask(SOL_SOCKET, SO_COOKIE, 8) != cookie:
                    link.check()
                sent = send(frame)
            except OSError as exc:
                is_sent = False
                link.send_rest(frame, exc)
            else:
                if sent != size:
                    is_sent = False
                    link.send_rest(frame[sent:])
        except Exception as exc:  # an app's log call must not raise for that
            self._failed(exc)
            is_sent = False
        finally:
            if self.is_ended:
                link.close()
            moving.release()
        if not is_sent or buffer.rows or buffer.gap_count or self.is_ended:
            buffer.tell()
        return msgid

    def _is_lone(self, now: float) -> bool:
        """Whether a record that comes now is a lone one; see `pace.py`."""
        due = self._due
        if due <= now:
            self._due = max(due, now - BURST_S) + STEP_S
        return due <= now

    def send_now(self) -> bool:
        """Send a record that waits, and what waits with it, from the thread that logged it.

        Returns:
            False if the sender's thread has to do it: under load, or if sending would take time.
        """
        moving = self._moving
        patience_s = _PATIENCE_IF_OPEN_S if self.link.is_open else _PATIENCE_S
        # Not if this call interrupts one that moves records.
        while not moving._is_owned() and (
            moving.acquire(False) or acquire_within(moving, patience_s)
        ):
            try:
                now = monotonic()
                if self._is_lone(now) and not self.is_ended:
                    is_sent = self._send_few()
                else:
                    self._batcher.expect_load(now)
                    is_sent = self.is_ended  # the next session takes what waits
            except Exception as exc:  # an app's log call must not raise for that
                self._failed(exc)
                is_sent = False
            finally:
                self._release()
            if not is_sent or self.is_ended or self._buffer.is_empty:
                return is_sent
        return True  # the one who moves records looks again afterwards

    def send_gathered(self) -> None:
        """Send what waits, from the thread that logged the last of it.

        What can't be sent at once and in few calls is left to the sender's thread, whose time
        comes soon.
        """
        moving = self._moving
        if moving._is_owned() or not moving.acquire(False):
            return
        buffer = self._buffer
        try:
            # None of those who come meanwhile has to try.
            buffer.tell_at = NEVER
            now = monotonic()
            if now > self._step_at and self.link.short_way is not None:
                self.link.step()  # to see what the server says; the thread will look at the rest
            if _has_paused(self._send_batch(now)):
                self._batcher.end_load(now)
                buffer.sleep()
        except Exception as exc:  # an app's log call must not raise for that
            self._failed(exc)
        finally:
            self._release()
        if buffer.sender_sleeps and not buffer.is_empty:
            buffer.tell()  # its thread fell asleep meanwhile, and another call left it to this one

    def send_late(self) -> float:
        """Send what no thread that logs has sent in time.

        Returns:
            After how many seconds to look again; 0 if a `step` should come now.
        """
        if not self._moving.acquire(False):
            return STEP_S
        try:
            now = monotonic()
            left_s = self._batcher.collect_at - now
            if now > self._step_at or self.link.short_way is None:
                return 0.0
            if left_s > 0:
                return left_s
            if self._send_batch(now):
                # A record within the last 10 ms would have sent it: there is no load any more.
                self._batcher.end_load(now)
            return 0.0
        except Exception as exc:  # as in `step`
            self._failed(exc)
            return 0.0
        finally:
            self._release()

    def _send_batch(self, now: float) -> list[AnyRow]:
        """Send what waits, past the link, in few calls; [] if that can't be."""
        link, session, buffer = self.link, self.session, self._buffer
        way = link.short_way
        if way is None or self.waiters or self.is_spooled or self.is_ended:
            return []
        rows, row_bytes = buffer.take_few()
        if not rows:
            return []
        entries = encode_fitting(session.next_sequence, rows)
        if not session.sent:
            link.silence.alive_at = now
        session.add_sent(entries)
        frame = b"".join([entry.frame for entry in entries])
        buffer.keep(row_bytes, len(frame))
        self._batcher.gathered(now, len(rows))
        self._due = now - BURST_AFTER_LOAD_S
        cookie, ask, send = way
        try:
            if not cookie or ask(SOL_SOCKET, SO_COOKIE, 8) != cookie:
                link.check()
            sent = send(frame)
        except OSError as exc:
            link.send_rest(frame, exc)
        else:
            if sent != len(frame):
                link.send_rest(frame[sent:])
        return [] if link.short_way is None else rows

    def _send_few(self) -> bool:
        """Send what waits besides the record that came now; and connect, if that is quick."""
        link, count = self.link, self._buffer.count
        if link.is_open:
            if count > _MAX_LONE or self.session.has_unsent:
                return False
        elif count > _MAX_WAITED or not link.may_connect:
            return False
        self._batcher.collect_few()
        return link.send_at_once(_CONNECT_AT_ONCE_S, _ANSWER_AT_ONCE_S) and self._buffer.is_empty

    @property
    def is_known(self) -> bool:
        """True if the sender's thread knows that records wait for the end of a pause."""
        return self.link.is_pausing and self._buffer.count > 1 and not self._buffer.has_full_batch


def _has_paused(rows: list[AnyRow]) -> bool:
    """Whether the last of these came so long after the one before that there is no load any more.

    The thread may be late to notice. What follows may be the last words of a program.
    """
    if len(rows) < 2:
        return bool(rows)
    try:
        return rows[-1][2] - rows[-2][2] > LATE_S
    except TypeError:  # times of the application's own kind
        return False

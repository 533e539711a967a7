"""The corpus as bytes on the wire, one form for each kind of receiver, made before the clock runs.

Every form says the same: category, process, message id, time, text, thread, function, call path.
A `Load` also knows the text that has to be in the files in the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from logging.handlers import SocketHandler

from logd_client.session import AnyRow, Context, encode_batch, encode_batches
from tests.bench import corpus

CHUNK_BYTES = 256 * 1024
"""Senders hand the kernel about so many bytes at a time, as `logd_client` does."""

_LEVELS = {"D": logging.DEBUG, "I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR}
_SEVERITIES = {"D": 7, "I": 6, "W": 4, "E": 3}


@dataclass(frozen=True)
class Load:
    """What all connections of one run send, and what must come of it.

    Attributes:
        records: how many, over all connections.
        chunks: for each connection the bytes to send, in order.
        expected: for each connection its lines as they must stand in the files.
        is_session: whether the chunks are batches of a session, sent after its opening and to be
            acknowledged.
    """

    records: int
    chunks: list[list[bytes]]
    expected: list[bytes]
    is_session: bool = False

    @property
    def expected_bytes(self) -> int:
        """Size of all files together once everything is written."""
        return sum(map(len, self.expected))


Encoder = Callable[[int, int], Load]
"""Makes a load of about so many records over so many connections."""


def session(records: int, connections: int) -> Load:
    """Batches as `logd_client` sends them, made by its own encoder."""
    streams = _streams(records, connections)
    return Load(
        sum(len(stream.msgs) for stream in streams),
        [[entry.frame for entry in encode_batches(1, _rows(stream))] for stream in streams],
        [corpus.lines(stream) for stream in streams],
        is_session=True,
    )


def small_batches(records: int, connections: int, batch: int = 50) -> Load:
    """The same in batches of so many records: what clients send that have little to say."""
    streams = _streams(records, connections)
    chunks = []
    for stream in streams:
        rows = _rows(stream)
        starts = range(0, len(rows), batch)
        chunks.append([encode_batch(start + 1, rows[start : start + batch]) for start in starts])
    return Load(
        sum(len(stream.msgs) for stream in streams),
        chunks,
        [corpus.lines(stream) for stream in streams],
        is_session=True,
    )


def syslog(records: int, connections: int) -> Load:
    """Octet-counted RFC 5424 with structured data, for rsyslog and syslog-ng."""
    streams = _streams(records, connections)
    return Load(
        sum(len(stream.msgs) for stream in streams),
        [_chunked(_syslog_frames(stream)) for stream in streams],
        [corpus.lines(stream, "+00:00", is_whole=False) for stream in streams],
    )


def socket_handler(records: int, connections: int) -> Load:
    """Frames of the standard library's `SocketHandler`, one pickle a record."""
    streams = _streams(records, connections)
    return Load(
        sum(len(stream.msgs) for stream in streams),
        [_chunked(_pickled_records(stream)) for stream in streams],
        [corpus.frame_lines(stream) for stream in streams],
    )


def _streams(records: int, connections: int) -> list[corpus.Stream]:
    return [corpus.stream(records // connections, number) for number in range(connections)]


def _chunked(frames: Iterator[bytes]) -> list[bytes]:
    chunks: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for frame in frames:
        waiting.append(frame)
        size += len(frame)
        if size >= CHUNK_BYTES:
            chunks.append(b"".join(waiting))
            waiting, size = [], 0
    return [*chunks, b"".join(waiting)] if waiting else chunks


def _rows(stream: corpus.Stream) -> list[AnyRow]:
    # Plain tuples: that is what clients pickle.
    contexts = {
        place: Context((*stream.contexts[place][:6], stream.contexts[place].cfunc))
        for place in set(stream.places)
    }
    return [
        (contexts[place], msgid, corpus.seconds(time_ms), msg, ())
        for place, msgid, time_ms, msg in zip(
            stream.places, stream.msgids, stream.times_ms, stream.msgs, strict=True
        )
    ]


def _syslog_frames(stream: corpus.Stream) -> Iterator[bytes]:
    heads = []
    items = []
    for context in stream.contexts:
        priority = 8 + _SEVERITIES[context.cat]
        heads.append((f"<{priority}>1 ", f" shop {context.cat} {context.pid} "))
        items.append(
            f' [logd@32473 thread="{context.threadname}" func="{context.cfunc}"'
            f' path="{corpus.path_text(context)}"] '
        )
    for place, msgid, time_ms, msg in zip(
        stream.places, stream.msgids, stream.times_ms, stream.msgs, strict=True
    ):
        start, middle = heads[place]
        when = corpus.time_text(time_ms, "+00:00")
        frame = f"{start}{when}{middle}{msgid}{items[place]}{msg}".encode()
        yield b"%d %b" % (len(frame), frame)


def _pickled_records(stream: corpus.Stream) -> Iterator[bytes]:
    handler = SocketHandler("localhost", None)
    records = []
    for context, logger in zip(stream.contexts, stream.loggers, strict=True):
        name, line = context.path[0]
        record = logging.LogRecord(
            logger,
            _LEVELS[context.cat],
            str(name),
            line or 0,
            "",
            None,
            None,
            context.cfunc,
        )
        record.process, record.thread = context.pid, context.tid
        record.threadName = context.threadname
        records.append(record)
    for place, time_ms, msg in zip(stream.places, stream.times_ms, stream.msgs, strict=True):
        record = records[place]
        record.msg = msg
        record.created = corpus.seconds(time_ms)
        record.msecs = float(time_ms % 1000)
        yield handler.makePickle(record)

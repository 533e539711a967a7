"""Frames in, batches out: tells the kinds of payload apart and has each decoded by its module.

| payload | sender | module |
| --- | --- | --- |
| pickled dict | the standard library's `SocketHandler` | `recognition`, `templates`, `logrecords` |
| pickled, JSON or MessagePack 11 items | the reference's clients, other languages | `rows` |
| the same of "ping" | the reference's clients | none: it means nothing |
| batches in a session | `logd_client` | `session` |

This and all it calls runs in the thread of the pipeline, not on the event loop.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final, cast

from logd.records.batch import Batch
from logd.records.context import Context, Special
from logd.wire import typed
from logd.wire.columns import Columns
from logd.wire.contexts import KnownContexts
from logd.wire.errors import WireError
from logd.wire.expansion import room_of
from logd.wire.frames import MAX_FRAME_BYTES, Frames
from logd.wire.limits import MAX_DECODED_CHARS, MAX_ROW_OPCODES
from logd.wire.logrecords import cut_record, log_record
from logd.wire.lonebatches import LoneBatches
from logd.wire.pickles import grammar, machine
from logd.wire.pickles.loading import load_record
from logd.wire.pickles.made import Made, Mapped, Name
from logd.wire.recognition import recognise
from logd.wire.rows import add_row
from logd.wire.session import decode_batch
from logd.wire.templates import LOG_RECORD_HEAD, Template, Templates

_LENGTH: Final = Struct(">I")
_PING: Final = "ping"
_PINGS: Final = frozenset(
    [pickle.dumps(_PING, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
)


class Decoder:
    """Decodes the frames of all connections; used by one thread at a time.

    It holds no state of any connection, only what it learned about frames and contexts that come
    again and again, see `templates.py` and `contexts.py`. What it keeps is bounded (some
    megabytes).

    Attributes:
        left: the frames that the last call did not look at, as it had done enough; None for none.

    Args:
        max_frame_bytes: the limit of a frame, for the word about a longer one.
        has_full_names: whether file names are written with their folders; what a batch may be
            written as is a multiple of its frame.
    """

    __slots__ = (
        "_contexts",
        "_is_late",
        "_lone_batches",
        "_max_frame_bytes",
        "_now",
        "_stopped",
        "_templates",
        "left",
    )

    def __init__(
        self, *, max_frame_bytes: int = MAX_FRAME_BYTES, has_full_names: bool = False
    ) -> None:
        self._templates = Templates()
        self._contexts = KnownContexts(has_full_names=has_full_names)
        self._lone_batches = LoneBatches(self._contexts)
        self._max_frame_bytes = max_frame_bytes
        self._now: float | None = None
        self._is_late: Callable[[], bool] | None = None
        self._stopped = 0
        self.left: Frames | None = None

    def decode(
        self,
        frames: Frames,
        *,
        peer: str = "",
        client: bytes | None = None,
        now: float | None = None,
        is_late: Callable[[], bool] | None = None,
    ) -> list[Batch]:
        """The records of frames that one connection sent, in order; none for pings.

        Args:
            frames: whole frames; a session's opening is not among them.
            peer: where they came from, for the batches.
            client: the session's id; None for senders without a session.
            now: when the frames came, for records of `SocketHandler` whose own time is none; such
                a record is an error without it.
            is_late: asked after each frame that took some time; if it says so decoding stops,
                and `left` has the frames that were not looked at. With it, decoding also stops
                once the records are long enough when they are written, see `MAX_DECODED_CHARS`.

        Returns:
            For a session a batch a frame, with `client` and `first` set; whether they follow on
            one another is for the caller to check. For others as few batches as possible.

        Raises:
            WireError: a frame is bad. The error has its number and the batches before it.
        """
        self._now, self._is_late, self._stopped = now, is_late, frames.count
        self.left = None
        if client is not None:
            batches = self._session(frames, peer, client)
        else:
            batches = self._plain(frames, peer)
        if self._stopped < frames.count:
            self.left = frames.from_frame(self._stopped)
        return batches

    def known_records(self, reads: Sequence[bytes], peer: str) -> Batch | None:
        """The records of a few frames of `SocketHandler`, if all are known; None if not.

        As `decode`, in a tenth of the calls: each of these has its cost if it comes seldom enough
        for the processor to have forgotten it.

        Args:
            reads: each is made of whole frames.
            peer: where they came from.
        """
        contexts: list[Context] = []
        msgids: list[int] = []
        times: list[float] = []
        msgs: list[str] = []
        special: dict[int, Special] = {}
        for data in reads:
            stop, end = 0, len(data)
            while stop < end:
                start = stop + 4
                stop = start + _LENGTH.unpack_from(data, stop)[0]
                if not data.startswith(LOG_RECORD_HEAD, start):
                    return None
                known = self._templates.match(data, start, stop)
                if known is None:
                    return None
                template, time, text, items = known
                if items:
                    special[len(msgs)] = items
                contexts.append(template.context)
                msgids.append(template.msgid)
                times.append(time)
                msgs.append(text + template.appendix if template.appendix else text)
        return Batch(contexts, range(len(msgs)), msgids, times, msgs, special, peer=peer)

    def lone_batch(self, payload: bytes, peer: str, client: bytes) -> tuple[Batch, int] | None:
        """A session's batch of one record, and about how many characters it is written as.

        None if it has to be decoded by `decode`, for whatever reason; that may be quick next time.
        """
        return self._lone_batches.decode(payload, peer, client)

    def _stops_after(self, number: int, *, is_much: bool = False) -> bool:
        """Whether the time is up once this frame is decoded, or enough was made of the frames."""
        if self._is_late is None or not (is_much or self._is_late()):
            return False
        self._stopped = number + 1
        return True

    def _session(self, frames: Frames, peer: str, client: bytes) -> list[Batch]:
        batches: list[Batch] = []
        data = frames.data
        all_written = 0
        for number, (start, stop) in enumerate(zip(frames.starts, frames.stops, strict=True)):
            payload = data[start:stop]
            known = self._lone_batches.decode(payload, peer, client)
            if known is None:
                try:
                    known = decode_batch(payload, peer=peer, client=client, known=self._contexts)
                except WireError as exc:
                    exc.frame = number
                    exc.batches = batches
                    raise
                if len(known[0]) == 1:
                    self._lone_batches.learn(payload)
            batch, written = known
            batches.append(batch)
            all_written += written
            if self._stops_after(number, is_much=all_written >= MAX_DECODED_CHARS):
                break
        return batches

    def _plain(self, frames: Frames, peer: str) -> list[Batch]:
        columns = Columns(peer)
        known = recognise(self._templates, frames)
        if known is None:
            self._one_by_one(frames, 0, frames.count, columns)
            return columns.batches()
        done = 0
        for number in (*known.unknown, frames.count):
            if number > done:
                templates = cast("list[Template]", known.templates[done:number])
                columns.add_all_repeated(
                    templates, known.times[done:number], known.texts[done:number]
                )
            if number < frames.count:
                self._one_by_one(frames, number, number + 1, columns)
                if self._stopped == number + 1:
                    break
            done = number + 1
        return columns.batches()

    def _one_by_one(self, frames: Frames, first: int, end: int, columns: Columns) -> None:
        """Decode the frames from `first` up to but without `end`, or until the time is up."""
        data, cut = frames.data, frames.cut
        match = self._templates.match
        add = columns.add_repeated
        for number in range(first, end):
            start, stop = frames.starts[number], frames.stops[number]
            try:
                if number in cut:
                    self._cut_frame(data[start:stop], cut[number], columns)
                elif data.startswith(LOG_RECORD_HEAD, start):
                    known = match(data, start, stop)
                    if known is not None:
                        add(*known)
                        continue
                    self._log_record(data, start, stop, columns)
                else:
                    self._payload(data[start:stop], columns)
            except WireError as exc:
                exc.frame = number
                exc.batches = columns.batches()
                raise
            if self._stops_after(number):
                return

    def _log_record(self, data: bytes, start: int, stop: int, columns: Columns) -> None:
        """A `SocketHandler` frame that is not known yet."""
        payload = data[start:stop]
        self._add_log_record(
            load_record(payload, grammar.proven_flat(payload)), len(payload), columns
        )
        self._templates.learn(data, start, stop)

    def _cut_frame(self, head: bytes, size: int, columns: Columns) -> None:
        """The beginning of a frame that was longer than a frame may be."""
        attributes = machine.beginning(head)
        record = cut_record(
            attributes if attributes is not None else Mapped([]),
            size,
            self._max_frame_bytes,
            room=room_of(len(head)),
            now=self._now or 0.0,
        )
        columns.add_log_record(record)

    def _payload(self, payload: bytes, columns: Columns) -> None:
        """Any other frame of a sender without a session."""
        value = _value(payload)
        if type(value) in (dict, Mapped):
            self._add_log_record(value, len(payload), columns)
        elif type(value) in (tuple, list):
            add_row(cast("Sequence[object]", value), columns, room_of(len(payload)))
        elif value != _PING:
            raise WireError(
                f"record expected, got {type(value).__name__}",
                is_hostile=type(value) in (Made, Name),
            )

    def _add_log_record(self, attributes: object, size: int, columns: Columns) -> None:
        columns.add_log_record(log_record(attributes, room=room_of(size), now=self._now))


def _value(payload: bytes) -> object:
    """What a payload holds, by whatever encoding its first byte shows."""
    if payload in _PINGS:
        return _PING
    if typed.is_json(payload):
        return typed.decode_json(payload)
    if typed.is_message_pack(payload):
        return typed.decode_packed(payload)
    try:
        proven = grammar.proven_tree(payload, max_opcodes=MAX_ROW_OPCODES, dicts=1)
    except WireError:
        # Of a dict the machine takes the beginning.
        proven = None
    return load_record(payload, proven or grammar.proven_flat(payload))


def decode_delivery(frames: Frames, *, peer: str = "", client: bytes | None = None) -> list[Batch]:
    """`Decoder.decode` for callers that decode once; a `Decoder` that is kept learns and is faster.

    Raises:
        WireError: as for `Decoder.decode`.
    """
    return Decoder().decode(frames, peer=peer, client=client)

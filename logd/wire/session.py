"""The daemon's side of the session protocol: openings, batches, answers.

The protocol itself is described once, in `logd_client.session`. Batches come in columns already;
checking them is checking columns, with C code running over each, and a Python loop only over the
contexts (call sites, a few dozen) and the special items that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from itertools import islice
from math import isfinite
from operator import lt
from struct import unpack
from typing import Final, NamedTuple, cast

from logd.records.batch import Batch
from logd.records.context import Context, Special
from logd.wire import fields, typed
from logd.wire.columns import Columns
from logd.wire.contexts import KnownContexts
from logd.wire.errors import WireError
from logd.wire.expansion import CharRoom, contexts_chars, fit_contexts, fit_messages, shared_items
from logd.wire.fields import bounded_items
from logd.wire.limits import (
    MAX_BATCH_OPCODES,
    MAX_FRAME_ROWS,
    MAX_INTEGER,
    MAX_SIMPLE_ROWS,
    MAX_TIME,
)
from logd.wire.pickles import grammar, unpickler
from logd.wire.pickles.loading import load
from logd.wire.rows import add_rows
from logd_client.session import (
    CLIENT_ID_BYTES,
    MAX_BATCH_OBJECTS,
    PROTOCOL_VERSION,
    encode_refusal,
)
from logd_client.session import encode_answer as encode_ack

KEEP_ALIVE: Final = bytes(4)
"""A frame of no bytes. Clients know it from the first version on, and pass over it."""

__all__ = [
    "KEEP_ALIVE",
    "MAX_OPENING_BYTES",
    "PROTOCOL_VERSION",
    "Opening",
    "Refusal",
    "decode_batch",
    "encode_ack",
    "encode_refusal",
    "read_opening",
]

MAX_TOKEN_CHARS: Final = 512
MAX_OPENING_BYTES: Final = 4 * MAX_TOKEN_CHARS + 128
"""What is longer can't be an opening: the event loop reads no more of a first frame than this."""

_OPENING_NAME: Final = "logd"
_OPENING_ITEMS: Final = 5
_BATCH_NAME: Final = "batch"
_COLUMNS_ITEMS: Final = 9
_ROWS_ITEMS: Final = 3
_ROW_NUMBER_BYTES: Final = 2


class Refusal(IntEnum):
    """Why the daemon ends a session; `logd_client.session.REFUSALS` has the texts."""

    VERSION = 1
    TOKEN = 2
    PEER = 3
    FRAME = 4
    ORDER = 5
    STOPPING = 6


class Opening(NamedTuple):
    """What a client says first.

    Attributes:
        version: of the protocol; the caller compares it with `PROTOCOL_VERSION`.
        client: 16 bytes that name the session.
        first: lowest sequence number that the client still holds or will send next, from 1 on.
        token: the shared token, None without one. Compare it in constant time.
    """

    version: int
    client: bytes
    first: int
    token: str | None


def read_opening(payload: bytes) -> Opening | None:
    """The opening that a connection's first frame is, None if it is anything else.

    Cheap enough for the event loop, whatever the bytes are: long frames are not looked into. An
    opening of a later version is returned with that version and nothing else of it. A broken
    opening is None: as the first frame of a plain sender it will be refused.
    """
    if len(payload) > MAX_OPENING_BYTES or b"logd" not in payload[:64]:
        return None
    try:
        if typed.is_message_pack(payload):
            value = typed.decode_packed_opening(payload)
        else:
            proven = grammar.proven_tree(payload, max_opcodes=MAX_OPENING_BYTES)
            value = None if proven is None else unpickler.run(proven)
    except (WireError, UnicodeDecodeError):
        return None
    items = _items(value)
    return _opening(items) if items and items[0] == _OPENING_NAME else None


def _opening(value: Sequence[object]) -> Opening | None:
    version = value[1] if len(value) > 1 else None
    if type(version) is not int or version < 1:
        return None
    if version != PROTOCOL_VERSION:
        return Opening(version, b"", 0, None)
    if len(value) != _OPENING_ITEMS:
        return None
    client, first, token = value[2:]
    is_whole = (
        type(client) is bytes
        and len(client) == CLIENT_ID_BYTES
        and type(first) is int
        and 1 <= first <= MAX_INTEGER
        and (token is None or (type(token) is str and len(token) <= MAX_TOKEN_CHARS))
    )
    return Opening(*cast("tuple[int, bytes, int, str | None]", value[1:])) if is_whole else None


def decode_batch(
    payload: bytes, *, peer: str, client: bytes, known: KnownContexts
) -> tuple[Batch, int]:
    """The batch that a frame of a session is, and about how many characters it is written as.

    Args:
        payload: the frame.
        peer: where it came from, for the batch.
        client: the session's id, for the batch.
        known: checks the contexts, and remembers them.

    Raises:
        WireError: anything else.
    """
    if typed.is_message_pack(payload):
        value: object = typed.decode_packed_batch(payload)
    else:
        proven = grammar.proven_tree(payload, max_opcodes=MAX_BATCH_OPCODES)
        value = load(payload, proven)
    items = _items(value)
    if not items or items[0] != _BATCH_NAME:
        raise WireError("session frame that is no batch")
    if len(items) == _COLUMNS_ITEMS:
        return _batch_of_columns(items, peer, client, len(payload), known)
    if len(items) == _ROWS_ITEMS:
        return _batch_of_rows(items, peer, client, len(payload), known)
    raise WireError(f"batch of {len(items)} items, {_COLUMNS_ITEMS} or {_ROWS_ITEMS} expected")


def _items(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if type(value) in (tuple, list) else ()


def _batch_of_rows(
    items: Sequence[object], peer: str, client: bytes, size: int, known: KnownContexts
) -> tuple[Batch, int]:
    rows = items[2]
    if len(_items(rows)) > MAX_SIMPLE_ROWS:
        raise WireError(f"batch of {len(_items(rows))} records, at most {MAX_SIMPLE_ROWS} allowed")
    columns = Columns(peer)
    room = CharRoom(size, len(_items(rows)))
    # The half of the room: what the rows' messages and contexts are is not known yet.
    items_room = room.items((), 0) // 2
    left = add_rows(rows, columns, items_room)
    (batch,) = columns.batches()
    batch.msg = fit_messages(batch.msg, room.messages)
    room.items(batch.msg, 0)
    chars = list(map(known.chars, batch.contexts))
    contexts_room = room.contexts(items_room - left, contexts_chars(chars, batch.index))
    batch.contexts = fit_contexts(
        batch.contexts, chars, batch.index, contexts_room, known.path_chars
    )
    batch.client = client
    batch.first = _sequence(items[1])
    return batch, room.written


def _batch_of_columns(
    items: Sequence[object], peer: str, client: bytes, size: int, known: KnownContexts
) -> tuple[Batch, int]:
    _, first, count, contexts, index, msgids, times, msgs, specials = items
    if type(count) is not int or not 1 <= count <= MAX_FRAME_ROWS:
        raise WireError(f"batch: between 1 and {MAX_FRAME_ROWS} records expected")
    if type(contexts) is tuple and len(contexts) > count:
        raise WireError(f"{len(contexts)} contexts for {count} records")
    checked, chars = known.checked(contexts)
    if count > 1:
        _count_objects(checked, specials)
    positions = _index(index, count, len(checked))
    room = CharRoom(size, count)
    texts = _msgs(msgs, count, room.messages)
    all_chars = contexts_chars(chars, positions)
    items_room = room.items(texts, all_chars)
    special, left = _specials(specials, count, items_room)
    contexts_room = room.contexts(items_room - left, all_chars)
    batch = Batch(
        fit_contexts(checked, chars, positions, contexts_room, known.path_chars),
        positions,
        _msgids(msgids, count),
        _times(times, count),
        texts,
        special,
        peer=peer,
        client=client,
        first=_sequence(first),
    )
    return batch, room.written


def _count_objects(contexts: Sequence[Context], specials: object) -> None:
    """Refuse what no client sends: they divide batches of too many texts and tuples."""
    objects = sum([len(context.path) + 6 for context in contexts])
    if type(specials) is tuple and {*map(type, specials)} == {tuple}:
        objects += sum(map(len, specials))
    if objects > MAX_BATCH_OBJECTS:
        raise WireError(f"batch of {objects} texts and tuples, at most {MAX_BATCH_OBJECTS} allowed")


def _sequence(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_INTEGER - MAX_FRAME_ROWS:
        raise WireError("sequence number: 1 or higher expected")
    return value


def _index(value: object, count: int, contexts: int) -> Sequence[int]:
    """Position of each record's context: each in range, and none left out."""
    if type(value) is not bytes:
        raise fields.wrong_type("index", "bytes", value)
    if contexts == 1 and not value:
        return bytes(count)
    positions: Sequence[int]
    if contexts <= 256:
        positions = value
    else:
        if len(value) % 2:
            raise WireError(f"index of {len(value)} bytes, {2 * count} expected")
        positions = unpack(f">{len(value) // 2}H", value)
    if len(positions) != count:
        raise WireError(f"index of {len(positions)} records, {count} expected")
    used = set(positions)
    if max(used) >= contexts:
        raise WireError(f"index names context {max(used)} of {contexts}")
    if len(used) != contexts:
        raise WireError(f"{contexts} contexts, {len(used)} in use")
    return positions


def _msgids(value: object, count: int) -> Sequence[int]:
    if type(value) is int:
        first = fields.integer(value, "msgid")
        fields.integer(first + count, "msgid")
        return range(first, first + count)
    if type(value) is not bytes:
        raise fields.wrong_type("msgids", "an integer or bytes", value)
    if len(value) != 8 * count:
        raise WireError(f"msgids of {len(value)} bytes, {8 * count} expected")
    return unpack(f">{count}q", value)


def _times(value: object, count: int) -> Sequence[float]:
    if type(value) is not bytes:
        raise fields.wrong_type("times", "bytes", value)
    if len(value) != 8 * count:
        raise WireError(f"times of {len(value)} bytes, {8 * count} expected")
    times = unpack(f">{count}d", value)
    # NaN makes any sum NaN, where min and max may step over it.
    if not (isfinite(sum(times)) and min(times) >= 0.0 and max(times) < MAX_TIME):
        raise WireError("times: outside the years 1970 to 9999")
    return times


def _msgs(value: object, count: int, room: int) -> Sequence[str]:
    if type(value) is str:
        # Counted first: a split makes objects of 50 bytes from single characters.
        given = value.count("\0") + 1
        if given == count:
            return value.split("\0")
    elif type(value) is tuple:
        given = len(value)
        if given == count:
            if set(map(type, value)) != {str}:
                raise WireError("msgs: text expected")
            return fit_messages(cast("tuple[str, ...]", value), room)
    else:
        raise fields.wrong_type("msgs", "text or a tuple of texts", value)
    raise WireError(f"{given} messages, {count} expected")


def _specials(value: object, count: int, room: int) -> tuple[dict[int, Special], int]:
    """The special items by row, and the room that they leave."""
    if type(value) is not tuple:
        raise fields.wrong_type("specials", "a tuple", value)
    specials: dict[int, Special] = {}
    last = -1
    for items in value:
        if type(items) is not tuple or len(items) % 2 == 0:
            raise WireError("special: row numbers and pairs of key and value expected")
        rest = iter(items)
        rows = next(rest)
        if type(rows) is bytes and len(rows) == _ROW_NUMBER_BYTES:
            rows = int.from_bytes(rows)
        if type(rows) is bytes:
            numbers = _row_numbers(rows, count, last)
            last = numbers[0]
            bounded, room = shared_items(items[1:], room, len(numbers))
            if bounded:
                before = len(specials)
                specials.update(dict.fromkeys(numbers, bounded))
                if len(specials) != before + len(numbers):
                    raise WireError("special: a row twice")
            continue
        if type(rows) is not int or not last < rows < count or rows in specials:
            raise WireError(f"special: rows from 0 to {count - 1}, ascending, expected")
        last = rows
        bounded, room = bounded_items(zip(rest, rest, strict=True), room)
        if bounded:
            specials[rows] = bounded
    return specials, room


def _row_numbers(value: bytes, count: int, last: int) -> tuple[int, ...]:
    """The rows that share items: from `last + 1` on, in range, each higher than the one before."""
    if not 2 <= len(value) <= 2 * count or len(value) % 2:
        raise WireError(f"special: rows of {len(value)} bytes, 2 to {2 * count} expected")
    rows: tuple[int, ...] = unpack(f">{len(value) // 2}H", value)
    if not last < rows[0] or rows[-1] >= count or not all(map(lt, rows, islice(rows, 1, None))):
        raise WireError(f"special: rows from 0 to {count - 1}, ascending, expected")
    return rows

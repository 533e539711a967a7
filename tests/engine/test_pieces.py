"""Messages of the engine: there and back, and any bytes at a bounded price."""

from __future__ import annotations

import resource
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logd.engine.pieces import (
    MAGIC,
    MAX_BODY_BYTES,
    PLAIN,
    ZSTD,
    Unreadable,
    pack_message,
    pack_piece,
    unpack_message,
)
from logd.outputs.batchbytes import encode_batch
from logd.outputs.files.zstd import compress
from logd.records.batch import Batch
from logd.records.context import Context, ContextItems

ONE = b"h1:session one.."
TEXTS = st.text(st.characters(), max_size=20)
ITEMS = st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(allow_nan=False), max_size=3)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Any batch of a session, perhaps with records left out by filters."""
    count = draw(st.integers(1, 6))
    places = draw(st.integers(1, 3))
    names = st.none() | TEXTS
    path = st.lists(st.tuples(names, st.none() | st.integers(0, 9999)), max_size=2).map(tuple)
    context = st.builds(
        Context, st.integers(), st.integers(), TEXTS, TEXTS, path, st.integers(0, 99), TEXTS
    )
    index = draw(st.lists(st.integers(0, places - 1), min_size=count, max_size=count))
    own = draw(st.dictionaries(st.integers(0, count - 1), ITEMS.filter(bool), max_size=count))
    shared = draw(st.lists(ITEMS, min_size=places, max_size=places))
    first = draw(st.integers(1, 2**40))
    gaps = draw(st.none() | st.lists(st.integers(0, 3), min_size=count + 1, max_size=count + 1))
    sequence, last = None, None
    if gaps is not None:
        sequence = [first + row + sum(gaps[: row + 1]) for row in range(count)]
        last = sequence[-1] + gaps[-1]
    return Batch(
        draw(st.lists(context, min_size=places, max_size=places)),
        bytes(index),
        draw(st.lists(st.integers(), min_size=count, max_size=count)),
        draw(st.lists(st.floats(0, 2e9), min_size=count, max_size=count)),
        draw(st.lists(TEXTS, min_size=count, max_size=count)),
        ContextItems(shared, index, own) if draw(st.booleans()) else own,
        peer="10.0.0.7",
        client=ONE,
        first=first,
        floor=draw(st.integers(0, first - 1)),
        sequence=sequence,
        last=last,
    )


def values(batch: Batch) -> dict[str, Any]:
    """All that is to arrive."""
    return {
        "contexts": list(batch.contexts),
        "index": list(batch.index),
        "msgid": list(batch.msgid),
        "time": list(batch.time),
        "msg": list(batch.msg),
        "special": {row: dict(items) for row, items in batch.special.items()},
        "sequence": None if batch.sequence is None else list(batch.sequence),
        "numbers": (batch.client, batch.prev, batch.first, batch.floor, batch.last),
        "peer": batch.peer,
    }


@settings(deadline=None)
@given(st.lists(batches(), max_size=4))
def test_there_and_back(made: list[Batch]) -> None:
    """Pieces of a message come back with all that their batches have."""
    pieces = unpack_message(pack_message([pack_piece(batch) for batch in made]))
    assert [values(piece.batch()) for piece in pieces] == [values(batch) for batch in made]


def test_a_piece_without_records() -> None:
    """What filters dropped whole is told all the same."""
    dropped = Batch.of_none(ONE, 11, 20, floor=10)
    (piece,) = unpack_message(pack_message([pack_piece(dropped)]))
    assert (piece.session, piece.prev, piece.floor, piece.last) == (ONE, 10, 10, 20)
    assert values(piece.batch()) == values(dropped)
    assert len(piece.batch()) == 0


def test_messages_are_compressed_if_that_helps() -> None:
    """Long ones are, and those that it makes no shorter are not."""
    alike = Batch((), b"", (), (), (), client=ONE, first=1, last=5)
    assert pack_message([pack_piece(alike)])[3] == PLAIN
    assert pack_message([pack_piece(Batch.of_none(ONE, n, n)) for n in range(1, 99)])[3] == ZSTD


def one_record(**changes: Any) -> Batch:
    """A batch that is right but for the changes."""
    made: dict[str, Any] = {
        "contexts": [Context(1, 2, "thread", "I", (("app.py", 3),), 4, "f")],
        "index": [0],
        "msgid": [1],
        "time": [1.0],
        "msg": ["text"],
        "special": {},
        "client": ONE,
        "first": 1,
        **changes,
    }
    return Batch(**made)


@pytest.mark.parametrize(
    "changes",
    [
        {"index": [1]},
        {"index": [-1]},
        {"index": ["a"]},
        {"index": []},
        {"msgid": [1, 2]},
        {"msgid": [None]},
        {"time": [float("nan")]},
        {"time": [-1.0]},
        {"time": [1e300]},
        {"msg": [7]},
        {"peer": None},
        {"first": 2},
        {"first": "1", "last": 1},
        {"client": b"another session."},
        {"last": 9},
        {"sequence": [3], "last": 1},
        {"sequence": [1, 1], "last": 1},
        {"floor": "x"},
        {"special": {1: {"a": "b"}}},
        {"special": {0: {7: "b"}}},
        {"special": {0: {"a": [1]}}},
        {"special": ContextItems([{}, {}], [0], {})},
        {"contexts": [Context(1, 2, "thread", "I", ((3, 3),), 4, "f")]},  # type: ignore[arg-type]
        {"contexts": [Context("1", 2, "thread", "I", (), 4, "f")]},  # type: ignore[arg-type]
        {"contexts": []},
    ],
)
def test_batches_of_a_wrong_shape_are_unreadable(changes: dict[str, Any]) -> None:
    """No batch leaves its piece that could break an output; the piece says whose it was."""
    payload = encode_batch(one_record(**changes), has_ts=False)
    (piece,) = unpack_message(message([ONE, 0, 0, 1, msgspec.Raw(payload)]))
    with pytest.raises(Unreadable):
        piece.batch()
    assert (piece.session, piece.last) == (ONE, 1)


def test_the_right_batch_is_read() -> None:
    """Without changes the batch of the cases above is right."""
    payload = encode_batch(one_record(), has_ts=False)
    (piece,) = unpack_message(message([ONE, 0, 0, 1, msgspec.Raw(payload)]))
    assert piece.batch().msg == ["text"]


def message(*pieces: Any) -> bytes:
    """A message of anything."""
    return MAGIC + bytes([PLAIN]) + msgspec.msgpack.encode(pieces)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"LG\x01",
        b"LG\x02\x00\x90",
        b"LG\x01\x07\x90",
        b"LG\x01\x00",
        b"LG\x01\x00\xdd\xff\xff\xff\xff",
        b"LG\x01\x00" + b"\x91" * 100_000,
        b"LG\x01\x01 not compressed",
        MAGIC + bytes([ZSTD]) + compress(b"\x90" * 1000, 1)[:-4],
        MAGIC + bytes([ZSTD]) + compress(b"\x90", 1) + b"more",
        message([b"short", 0, 0, 1, None]),
        message([ONE, 1, 0, 1, None]),
        message([ONE, -1, 0, 1, None]),
        message([ONE, 3, 4, 5, None]),
        message([ONE, 0, 0, 2**63, None]),
        message([ONE, 0, 0, 1]),
        message([ONE, 0, 0, 1, None, 7]),
        message(["a session's name", 0, 0, 1, None]),
    ],
)
def test_hostile_messages_are_unreadable(data: bytes) -> None:
    """Each is refused by the one error that there is."""
    with pytest.raises(Unreadable):
        unpack_message(data)


def test_a_bomb_is_not_unpacked() -> None:
    """A kilobyte that makes gigabytes is refused before it has made them."""
    bomb = MAGIC + bytes([ZSTD]) + compress(bytes(MAX_BODY_BYTES * 4), 19)
    assert len(bomb) < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unreadable, match="decompressed"):
        unpack_message(bomb)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 3 * MAX_BODY_BYTES


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_are_pieces_or_unreadable(data: st.DataObject) -> None:
    """A message with any bytes in any place is read, or refused by the one error."""
    good = bytearray(pack_message([pack_piece(data.draw(batches()))]))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(3, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        for piece in unpack_message(bytes(good)):
            batch = piece.batch()
            zlib.crc32(encode_batch(batch))
            assert len(batch.jobs()) == len(batch)
    except Unreadable:
        pass

"""How much a session's batch may hold, and what is cut if it is more."""

from __future__ import annotations

import pickle
import struct

import msgspec
import pytest

from logd.wire import (
    WireError,
)
from logd.wire.frames import MAX_FRAME_BYTES
from logd.wire.limits import MAX_FRAME_ROWS, MAX_SIMPLE_ROWS
from logd_client.rows import encode_fitting
from logd_client.session import (
    MAX_BATCH_RECORDS,
    encode_batches,
)
from logd_client.session import Context as ClientContext
from tests.wire.batches import batch_of, decode, rows_of, shared_batch


def test_long_texts_are_cut_to_the_room_of_the_batch() -> None:
    """One long call path for thousands of records is cut, with a word about what is missing."""
    path = tuple((f"/srv/app/{n:0250}.py", n) for n in range(60))
    value = batch_of(
        count=8_000,
        contexts=((1, 2, "t", "E", path, 60, "f"),),
        times=struct.pack(">d", 1.0) * 8_000,
        msgs="\0" * 7_999,
    )
    (context,) = decode(pickle.dumps(value, 4)).contexts
    assert context.path == (("[... 60 more]", None),)
    few = decode(pickle.dumps(batch_of(contexts=((1, 2, "t", "E", path, 60, "f"),)), 4))
    assert few.contexts[0].path == path


def test_a_shared_message_is_cut_to_the_room_of_the_batch() -> None:
    """A message that a pickle repeats for two bytes a record does not become gigabytes."""
    msg = "\0" + "x" * 100_000
    value = batch_of(count=1000, times=struct.pack(">d", 1.0) * 1000, msgs=(msg,) * 1000)
    batch = decode(pickle.dumps(value, 4))
    assert sum(map(len, batch.msg)) < 1.1 * MAX_FRAME_BYTES
    assert batch.msg[0].endswith(" more]")


def test_shared_items_are_cut_to_the_room_of_the_batch() -> None:
    """Items that a pickle repeats are kept until the batch has no room, then noted."""
    text = "x" * 30_000
    rows = tuple([(n, "k", text) for n in range(1000)])
    value = batch_of(
        count=1000, times=struct.pack(">d", 1.0) * 1000, msgs="\0" * 999, specials=rows
    )
    batch = decode(pickle.dumps(value, 4))
    assert batch.special[0] == {"k": text}
    assert batch.special[999] == {"...": "[... 1 more]"}


def test_items_of_many_rows_count_for_each_of_them() -> None:
    """What items are written as is bounded, whether they stand in the batch once or often."""
    every = rows_of(*range(1000))
    (items,) = {
        id(items): items for items in shared_batch((every, "k", "x" * 30_000)).special.values()
    }.values()
    assert 2500 < len(str(items["k"])) < 3000
    assert str(items["k"]).endswith(" more]")
    flood = [part for n in range(200) for part in (f"k{n}", "x" * 250)]
    written = shared_batch((every, *flood)).special
    assert sum(len(str(items)) for items in written.values()) < 4 << 20
    few = shared_batch((rows_of(0, 1), "k", "x" * 30_000)).special
    assert few[1] == {"k": "x" * 30_000}


def test_full_frames_of_a_real_client_are_taken() -> None:
    """Records with a context of their own and 9 items each pass untouched, however many."""
    rows = [
        (
            ClientContext((n, n, "thread", "E", (("/srv/app/views.py", n),), 9, "charge")),
            n,
            1.0 + n,
            "m",
            tuple([part for key in range(9) for part in (f"k{key}", n)]),
        )
        for n in range(8192)
    ]
    entries = encode_batches(1, rows)
    batches = [decode(entry.frame[4:]) for entry in entries]
    assert sum(map(len, batches)) == 8192
    assert sum(len(batch.contexts) for batch in batches) == 8192
    last = batches[-1]
    assert last.special[len(last) - 1] == {f"k{key}": 8191 for key in range(9)}


def test_what_a_client_sends_at_once_is_written_whole() -> None:
    """Deep call paths and rich items that thousands of records share: nothing of them is cut."""
    path = tuple((f"/srv/app/lib/python3.11/site-packages/package/{n}.py", n) for n in range(40))
    contexts = [ClientContext((1, 2, f"t{n}", "I", path, 40, "f")) for n in range(3)]
    items = ("text", "x" * 300, "number", 7, "none", None, *(str(n) for n in range(40)))
    each = [(f"key of a record's own {n}", n) for n in range(5)]
    for some in ([items], [()], [(*items, "own", n) for n in range(1000)], each):
        rows = [
            (contexts[n % 3], n, 1.5e9, f"message {n} {'x' * 80}", some[n % len(some)])
            for n in range(MAX_BATCH_RECORDS)
        ]
        batches = [decode(entry.frame[4:]) for entry in encode_batches(1, rows)]
        assert sum(map(len, batches)) == len(rows)
        assert {context.path for batch in batches for context in batch.contexts} == {path}
        written = [batch.special.get(row, {}) for batch in batches for row in range(len(batch))]
        meant = [dict(zip(row[4][::2], row[4][1::2], strict=True)) for row in rows]
        assert written == meant


def test_a_batch_of_more_objects_than_clients_send_is_refused() -> None:
    """What costs most for each of its bytes is bounded; one record may be as rich as it is."""
    path = tuple(("a.py", n) for n in range(100))
    contexts = tuple((n, 2, "t", "E", path, 4, "f") for n in range(500))
    specials = tuple((n, *["k", n] * 2) for n in range(500))
    times = struct.pack(">d", 1.0) * 500
    rich = batch_of(
        count=500,
        contexts=contexts,
        index=struct.pack(">500H", *range(500)),
        times=times,
        msgs="\0" * 499,
        specials=specials,
    )
    with pytest.raises(WireError, match="batch of 55500 texts and tuples, at most 50000 allowed"):
        decode(pickle.dumps(rich, 4))
    one = batch_of(specials=((0, *[part for n in range(30_000) for part in (f"k{n}", n)]),))
    assert len(decode(pickle.dumps(one, 4)).special[0]) == 257


def test_the_limits_of_records_are_those_of_the_protocol() -> None:
    """A batch has as many records as clients send, in columns, and half of them as 11-tuples."""
    assert MAX_FRAME_ROWS == MAX_BATCH_RECORDS
    for encode in (msgspec.msgpack.encode, pickle.dumps):
        row = (1, 2, 3, "t", 1.0, "m", "E", (), 0, "f", None)
        assert len(decode(encode(("batch", 1, (row,) * MAX_SIMPLE_ROWS)))) == MAX_SIMPLE_ROWS
        with pytest.raises(WireError, match="4097 records, at most 4096 allowed"):
            decode(encode(("batch", 1, (row,) * (MAX_SIMPLE_ROWS + 1))))


def test_a_record_richer_than_a_server_takes_is_not_sent_as_it_is() -> None:
    """One record with more items or levels than a server makes is refused before it is sent."""
    levels = tuple((f"{n}.py", n) for n in range(60_000))
    items = tuple(part for n in range(40_000) for part in (f"k{n}", n))
    deep = (ClientContext((1, 2, "t", "I", levels, 4, "f")), 1, 1.5e9, "deep", ())
    rich = (ClientContext((1, 2, "t", "I", (), 4, "f")), 2, 1.5e9, "rich", items)
    for row in (deep, rich):
        with pytest.raises(ValueError, match="texts and tuples, at most 50000 allowed"):
            encode_batches(1, [row])
    batches = [decode(entry.frame[4:]) for entry in encode_fitting(1, [deep, rich])]
    assert [msg for batch in batches for msg in batch.msg] == ["deep", "rich"]

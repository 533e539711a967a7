"""What a frame's records are written as is a multiple of the frame, whatever they share."""

from __future__ import annotations

import pickle
import struct

import pytest

from logd.daemon.costs import text_bytes
from logd.records.callpath import short_name
from logd.wire import Decoder, Frames
from logd.wire.limits import (
    EXPANSION,
    EXPANSION_CHARS,
    MAX_BATCH_CONTEXT_CHARS,
    MAX_BATCH_ITEM_CHARS,
    MAX_DECODED_CHARS,
)
from logd_client.encoding import encode_batches
from logd_client.records import Context, Row
from tests.wire.hostile.making import NOW, batch

RECORDS = 4_000
# Words for what was cut, in four fields of each record, counted as what cannot be written as it is.
OVERHEAD = 300

LONG = "x" * 60_000
BAD = "\u202e" * 1_000
EVERY = b"".join(struct.pack(">H", row) for row in range(RECORDS))
BATCH = {"count": RECORDS, "times": NOW * RECORDS, "msgs": "\0" * (RECORDS - 1)}
PLACE = (1, 2, "t", "E", (), 0, "f")
ROWS = [
    (n, 1, 2, "t" * 250, 1.7e9, LONG, "E", (("x" * 1000, 1),) * 16, 0, "f", {"k": LONG})
    for n in range(1_000)
]


@pytest.mark.parametrize(
    "payload",
    [
        batch(**BATCH, contexts=((1, 2, BAD, "E", ((BAD, 1),) * 16, 0, BAD),)),
        batch(**BATCH, contexts=((1, 2, "t", "E", (("/" * 900 + "x" * 100, 1),) * 16, 0, "f"),)),
        batch(**BATCH, specials=((EVERY, "k", LONG, "l", BAD),)),
        batch(**BATCH, specials=tuple((row, "k", LONG) for row in range(RECORDS))),
        batch(**{**BATCH, "msgs": ("\0" + LONG,) * RECORDS}),
        batch(**{**BATCH, "msgs": (BAD,) * RECORDS}),
        batch(
            **{**BATCH, "msgs": (LONG,) * RECORDS},
            contexts=((1, 2, "t", "E", ((BAD, 1),) * 16, 0, "f"),),
            specials=((EVERY, "k", LONG),),
        ),
        pickle.dumps(("batch", 1, ROWS), 4),
    ],
    ids=["escapes", "path", "shared items", "items", "message", "unsafe", "all", "rows"],
)
@pytest.mark.parametrize("has_full_names", [False, True])
def test_a_batch_is_written_as_a_multiple_of_its_frame(
    payload: bytes, has_full_names: bool
) -> None:
    """Texts that thousands of records share are cut; nothing is refused."""
    decoder = Decoder(has_full_names=has_full_names)
    (made,) = decoder.decode(Frames.of(payload), client=b"c" * 16)
    assert len(made) in (RECORDS, len(ROWS))
    if not has_full_names:
        made.contexts = [
            context._replace(path=tuple((short_name(name or ""), 1) for name, _ in context.path))
            for context in made.contexts
        ]
    shared = MAX_BATCH_CONTEXT_CHARS + MAX_BATCH_ITEM_CHARS
    allowed = EXPANSION * len(payload) + EXPANSION_CHARS + shared + OVERHEAD * len(made)
    assert text_bytes(made) <= allowed


def deep(name: str, levels: int = 40) -> Context:
    """The context of a call that many levels deep."""
    path = tuple((f"/srv/app/{name}/module_{n:02}.py", 100 + n) for n in range(levels))
    return Context((4711, 99, name, "E", path, levels, name))


HONEST = {
    "one deep place": [Row(deep("x" * 60), n, 1.7e9, "hello", ()) for n in range(8192)],
    "many deep places": [
        Row(place, n, 1.7e9, "hello", ())
        for n, place in enumerate([deep(f"{n:040}") for n in range(100)] * 80)
    ],
    "names that are not ASCII": [
        Row(place, n, 1.7e9, "h", ("имя", "значение" * 30))
        for n, place in enumerate([deep("поток" * 4)] * 4000)
    ],
    "200 levels": [Row(deep("x" * 40, 200), n, 1.7e9, "hello", ()) for n in range(300)],
    "the same items": [
        Row(deep("m", 1), n, 1.7e9, "hello", ("version", "1.2.3 " * 300)) for n in range(4000)
    ],
    "items of their own": [
        Row(deep("m", 1), n, 1.7e9, "hello", ("tb", f"line {n}\n" * 900)) for n in range(400)
    ],
    "long messages": [Row(deep("x" * 60), n, 1.7e9, "\x01" * 3000, ()) for n in range(400)],
}


@pytest.mark.parametrize("rows", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("has_full_names", [False, True])
def test_what_our_client_sends_is_never_cut(rows: list[Row], has_full_names: bool) -> None:
    """However deep a program logs from, and whatever its records share, all of it is written."""
    decoder = Decoder(has_full_names=has_full_names)
    payloads = [entry.frame[4:] for entry in encode_batches(1, rows)]
    made = [
        batch
        for payload in payloads
        for batch in decoder.decode(Frames.of(payload), client=b"c" * 16)
    ]
    assert sum(map(len, made)) == len(rows)
    sent = iter(rows)
    for one in made:
        for position, msg, row in zip(one.index, one.msg, range(len(one)), strict=True):
            expected = next(sent)
            assert one.contexts[position] == Context(expected.context.fields).fields
            assert msg == expected.msg
            items = expected.items
            assert one.special.get(row, {}) == dict(zip(items[::2], items[1::2], strict=True))


def test_decoding_stops_once_there_is_much_to_write() -> None:
    """Of many short frames that are long when written a part is decoded at a time."""
    place = deep("x" * 60).fields
    payload = batch(count=1024, times=NOW * 1024, msgs="\0" * 1023, contexts=(place,))
    frames = Frames.of(*[payload] * 20)
    decoder, found, calls = Decoder(has_full_names=True), 0, 0
    left: Frames | None = frames
    while left is not None:
        made = decoder.decode(left, client=b"c" * 16, is_late=lambda: False)
        assert sum(map(text_bytes, made)) < 2 * MAX_DECODED_CHARS
        found += len(made)
        calls += 1
        left = decoder.left
    assert found == 20
    assert calls >= 4


def test_one_record_is_written_as_a_multiple_of_its_frame() -> None:
    """A text that many items of one record share is cut, too."""
    items = {f"k{n}": LONG for n in range(200)}
    for value in ({"msg": "m", "created": 1.0, **items}, (*ROWS[0][:-1], items)):
        payload = pickle.dumps(value, 2)
        (made,) = Decoder().decode(Frames.of(payload))
        assert text_bytes(made) <= EXPANSION * len(payload) + EXPANSION_CHARS + 20_000

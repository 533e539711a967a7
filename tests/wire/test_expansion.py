"""What a frame's records are written as is a multiple of the frame, whatever they share."""

from __future__ import annotations

import pickle
import struct

import pytest

from logd.daemon.costs import text_bytes
from logd.wire import Decoder, Frames
from logd.wire.limits import EXPANSION, EXPANSION_CHARS
from tests.wire.hostile import NOW, batch

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
    allowed = EXPANSION * len(payload) + EXPANSION_CHARS + OVERHEAD * len(made)
    assert text_bytes(made) <= allowed


def test_one_record_is_written_as_a_multiple_of_its_frame() -> None:
    """A text that many items of one record share is cut, too."""
    items = {f"k{n}": LONG for n in range(200)}
    for value in ({"msg": "m", "created": 1.0, **items}, (*ROWS[0][:-1], items)):
        payload = pickle.dumps(value, 2)
        (made,) = Decoder().decode(Frames.of(payload))
        assert text_bytes(made) <= EXPANSION * len(payload) + EXPANSION_CHARS + 20_000

"""Batches of one record: walked or unpickled, they are the same."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.wire import Decoder, WireError
from logd.wire.contexts import KnownContexts
from logd.wire.frames import Frames
from logd.wire.lonebatches import MAX_BYTES, LoneBatches
from logd_client.lone import encode_lone
from logd_client.records import Context

CLIENT = b"c" * 16
CONTEXT = (4711, 1 << 40, "MainThread", "I", (("/srv/shop.py", 42), ("/srv/app.py", 7)), 0, "sell")
VALUES = st.text() | st.booleans() | st.none() | st.floats() | st.integers() | st.binary()


def payload(
    text: str,
    items: Mapping[str, object],
    context: tuple[object, ...] = CONTEXT,
    number: int = 1,
    msgid: int = 1,
    time: float = 1.5,
) -> bytes:
    """A batch of one record, as `logd_client` writes it."""
    row = (0, *(part for item in items.items() for part in item))
    specials = (row,) if items else ()
    times = struct.pack(">d", time)
    return pickle.dumps(("batch", number, 1, (context,), b"", msgid, times, text, specials), 4)


def shown(batch: Batch) -> str:
    """Everything that a batch says."""
    return repr(
        (
            *(list(batch.contexts), list(batch.index), list(batch.msgid), list(batch.time)),
            *(list(batch.msg), dict(batch.special), batch.peer, batch.client, batch.first),
        )
    )


def decoded(data: bytes, decoder: Decoder) -> str:
    """What a frame is; "refused" if it is none."""
    try:
        return "; ".join(map(shown, decoder.decode(Frames.of(data), peer="p", client=CLIENT)))
    except WireError:
        return "refused"


def is_walked(data: bytes, *, lone: LoneBatches | None = None) -> bool:
    """Whether a frame is known once it came twice."""
    lone = lone or LoneBatches(KnownContexts())
    lone.learn(data)
    lone.learn(data)
    return lone.decode(data, "p", CLIENT) is not None


@pytest.mark.parametrize("number", [1, 300, 70_000, 1 << 33])
@pytest.mark.parametrize("items", [{}, {"user": "ann"}, {"user": "ann", "n": 3, "ok": True}])
def test_usual_batches_are_walked(number: int, items: Mapping[str, object]) -> None:
    """Whatever the numbers, with no item, one or several."""
    assert is_walked(payload("sold", items, number=number, msgid=number))
    assert is_walked(payload("long " * 100, items))


@pytest.mark.parametrize(
    "special",
    [
        {},
        {"user": "ann"},
        {"user": "ann" * 99, "n": -3, "m": 1},
        {"ms": 0.5, "is_paid": True, "is_sent": False, "coupon": None},
    ],
)
def test_what_the_client_sends_is_walked(special: dict[str, str | float | None]) -> None:
    """Its own way to write one record is the quick one here, too."""
    items = tuple(part for item in special.items() for part in item)
    context = Context(CONTEXT)
    for text in ("sold", "long " * 100):
        lone = LoneBatches(KnownContexts())
        for number in (1, 2, 3):
            data = encode_lone(number, (context, number, 1.5, text, items)).frame[4:]
            if number < 3:
                lone.learn(data)
        found = lone.decode(data, "p", CLIENT)
        assert found is not None
        assert found[0].special == ({0: special} if special else {})


@pytest.mark.parametrize(
    "data",
    [
        payload("x" * MAX_BYTES, {}),
        payload("a\0b", {}),
        payload("sold", {"list": [1]}),
        payload("sold", {"n": 1 << 70}),
        payload("sold", {}, number=0),
        payload("sold", {}, number=1 << 63),
        payload("sold", {}, time=float("nan")),
        payload("sold", {}, time=-1.0),
        payload("sold", {}, (*CONTEXT[:-1], 5)),
        payload("sold", {}, CONTEXT[:-1]),
        payload("sold", {})[:-1],
        payload("sold", {}) + b".",
    ],
)
def test_what_is_odd_goes_the_long_way(data: bytes) -> None:
    """It is refused there, or cut."""
    assert not is_walked(data)


@given(
    st.text(max_size=300),
    st.dictionaries(st.text(min_size=1), VALUES, max_size=4),
    st.tuples(
        st.integers(0, 1 << 40),
        st.integers(0, 1 << 40),
        st.text(max_size=20),
        st.text(max_size=2),
        st.lists(st.tuples(st.text(max_size=9), st.integers(0, 9999)), max_size=3).map(tuple),
        st.integers(0, 50),
        st.text(max_size=20),
    ),
)
@example(
    "t",
    {},
    (*CONTEXT[:2], "t\x94\x85\x94C\x00\x94".encode("latin-1").decode("latin-1"), *CONTEXT[3:]),
)
def test_walked_batches_are_those_of_the_whole_decoder(
    text: str, items: dict[str, object], context: tuple[object, ...]
) -> None:
    """A frame that is known means what it meant before it was."""
    data = payload(text, items, context)
    fresh = decoded(data, Decoder())
    known = Decoder()
    for _ in range(4):
        assert decoded(data, known) == fresh


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=3), st.data())
def test_damaged_batches_are_never_taken_for_others(
    items: dict[str, object], data: st.DataObject
) -> None:
    """Whatever byte is changed, the walk finds what the whole decoder finds, or leaves it alone."""
    good = payload("sold", items)
    damaged = bytearray(good)
    place = data.draw(st.integers(0, len(good) - 1))
    damaged[place] = data.draw(st.integers(0, 255))
    fresh = decoded(bytes(damaged), Decoder())
    known = Decoder()
    for one in (good, good, good, bytes(damaged), bytes(damaged)):
        decoded(one, known)
    assert decoded(bytes(damaged), known) == fresh

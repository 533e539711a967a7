"""Items at the end of frames: what is walked is what the unpickler and the checks make of it."""

from __future__ import annotations

import logging
import logging.handlers
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logd.records.context import Special
from logd.wire import Decoder, WireError
from logd.wire.frames import Frames
from logd.wire.items import MAX_ITEMS_BYTES, KnownItems
from logd.wire.limits import MAX_KEY_CHARS, MAX_SPECIAL_ITEMS
from logd.wire.logrecords import STANDARD_ATTRIBUTES

KEYS = st.text(min_size=1).filter(lambda key: key not in STANDARD_ATTRIBUTES)
VALUES = (
    st.text()
    | st.booleans()
    | st.none()
    | st.floats()
    | st.integers()
    | st.integers(-70_000, 70_000)
    | st.lists(st.integers())
)


def frame(items: dict[str, object]) -> bytes:
    """The payload of a record of `SocketHandler` with items of the application's own."""
    record = logging.LogRecord("shop", 20, "/srv/shop.py", 1, "sold", None, None, "sell")
    record.__dict__.update(items)
    return logging.handlers.SocketHandler("", 0).makePickle(record)[4:]


def end_of(payload: bytes) -> bytes:
    """What the application added to a frame."""
    without = frame({})
    process = without.rindex(b"processq")
    # Since Python 3.12 each record has the name of its task, mostly None.
    task = without.find(b"X\x08\x00\x00\x00taskName", process)
    if task < 0:
        return payload[len(without) - 2 :]
    return payload[task:].removeprefix(without[task:-2])


def decoded(payload: bytes, decoder: Decoder) -> Special | None:
    """The items of a record; None if the frame is refused."""
    try:
        (batch,) = decoder.decode(Frames.of(payload), now=1.0)
    except WireError:
        return None
    return batch.special.get(0, {})


def test_usual_items_are_walked() -> None:
    """Texts, numbers, bools, None and the name of a task need no unpickler."""
    items = {"request": "r\u20ac\ud800", "user": 3, "ms": 0.5, "n": 300, "m": -70_000}
    more: dict[str, object] = {"ok": True, "bad": False, "no": None, "inf": math.inf, "": "empty"}
    known = KnownItems()
    for _ in range(2):
        found = known.read(end_of(frame({**items, **more, "taskName": "Task-1"})))
        assert found == {**items, **more, "inf": "inf"}


@pytest.mark.parametrize(
    "items",
    [
        {"shared": "sell"},
        {"list": [1]},
        {"big": 1 << 40},
        {"k" * (MAX_KEY_CHARS + 1): 1},
        {"long": "x" * MAX_ITEMS_BYTES},
        {f"{number}": None for number in range(MAX_SPECIAL_ITEMS + 1)},
    ],
    ids=["fetched", "list", "long number", "long key", "long text", "many"],
)
def test_what_is_odd_goes_the_long_way(items: dict[str, object]) -> None:
    """Nothing is guessed: what is not known here is left to the unpickler."""
    record = logging.LogRecord("shop", 20, "/srv/shop.py", 1, "sold", None, None, "sell")
    # Equal texts that are one object are fetched from the memo.
    items = {key: record.funcName if value == "sell" else value for key, value in items.items()}
    record.__dict__.update(items)
    payload = logging.handlers.SocketHandler("", 0).makePickle(record)[4:]
    assert KnownItems().read(end_of(payload)) is None


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@example({"taskName": "Task-1", "a": 1})
def test_walked_items_are_those_of_the_whole_frame(items: dict[str, object]) -> None:
    """A frame that is recognised has the items of one that is decoded in full."""
    payload = frame(items)
    fresh = decoded(payload, Decoder())
    known = Decoder()
    for _ in range(4):
        assert repr(decoded(payload, known)) == repr(fresh)


def test_another_end_is_no_end() -> None:
    """A frame whose last opcodes are others is refused, known or not."""
    payload = frame({})
    known = Decoder()
    for _ in range(3):
        decoded(payload, known)
    for end in (b"s.", b"u0", b"0."):
        damaged = payload[:-2] + end
        assert decoded(damaged, known) == decoded(damaged, Decoder())


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.data())
def test_damaged_items_are_never_taken_for_others(
    items: dict[str, object], data: st.DataObject
) -> None:
    """Whatever byte is changed, the walk finds what the whole decoder finds, or leaves it alone."""
    payload = bytearray(frame(items))
    start = len(frame({})) - 2
    place = data.draw(st.integers(start, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    fresh = decoded(bytes(payload), Decoder())
    known = Decoder()
    for _ in range(3):
        decoded(frame(items), known)
    assert repr(decoded(bytes(payload), known)) == repr(fresh)

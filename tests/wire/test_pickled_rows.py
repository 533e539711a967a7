"""Values as the picklers of all CPythons and of other languages write them."""

from __future__ import annotations

import math
import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.wire import Decoder, Frames
from logd_client.values import item_value
from tests.wire.hostile.making import text
from tests.wire.pickled_rows import ROWS, interpreters, rows_of

ITEMS = {
    "address": "10.0.0.1",
    "big": str(2**600),
    "bytearray": "ab",
    "bytes": "ab",
    "class": "<__main__.Order>",
    "complex": "(1+2j)",
    "cyclic": "[1, [...]]",
    "date": "2026-01-02",
    "datetime": "2026-01-02 03:04:05.000678",
    "decimal": "1.10",
    "deep": "[" * 32 + "..." + "]" * 32,
    "default": '{"a": [1]}',
    "deque": "[1, 2]",
    "dict": '{"200": {"a": [1, [2]]}}',
    "enum": "Color(1)",
    "error": "gone",
    "float": 0.25,
    "fraction": "1/3",
    "frozenset": "[2]",
    "int subclass": 7,
    "level": "Level(1)",
    "negative": -5,
    "none": None,
    "none key": '{"null": 1}',
    "old": "Old(a=1)",
    "order": "Order(number=7)",
    "ordered": '{"b": 1, "a": 2}',
    "pair": "Pair(1, 2)",
    "path": "/var/log/a b",
    "range": "range(0, 3)",
    "set": "[1]",
    "status": 404,
    "str subclass": "t",
    "text": "käse",
    "time": "03:04:05",
    "timedelta": "1 day, 0:00:02",
    "true": True,
    "tuple key": '{"(1, 2)": 3}',
    "utc": "2026-01-02 00:00:00+00:00",
    "uuid": "00000000-0000-0000-0000-000000000005",
}
# How Python 3.11 has it in some of its releases: by the name of the member.
OTHERS = {"enum": "Color.RED", "level": "Level.AUDIT"}


def item(payload: bytes) -> object:
    """The item that "value" becomes."""
    (batch,) = Decoder().decode(Frames.of(payload))
    return batch.special[0]["value"]


def wrong(rows: set[str]) -> list[tuple[str, object]]:
    """Rows whose item is another one than expected."""
    found = []
    for row in rows:
        name, digits = row.split("\t")
        got = item(bytes.fromhex(digits))
        if got not in (ITEMS[name], OTHERS.get(name, ITEMS[name])):
            found.append((name, got))
    return found


def test_the_rows_of_all_pythons() -> None:
    """What Pythons 2.7 to 3.13 make of a value in any protocol becomes the same item."""
    rows = set(ROWS.read_text().splitlines())
    assert {row.split("\t")[0] for row in rows} == set(ITEMS)
    assert wrong(rows) == []


@pytest.mark.parametrize("python", interpreters(), ids=lambda python: python.parts[-3])
def test_the_pythons_of_this_machine(python: Path) -> None:
    """The Pythons that are here make rows that are understood."""
    assert wrong(rows_of(python)) == []


def record(code: bytes) -> bytes:
    """A dict as Java's Pyrolite and Go's ogórek write one: no memo, protocol 2."""
    created = text("created") + b"G" + struct.pack(">d", 1.5)
    return b"\x80\x02}(" + text("msg") + text("m") + created + text("value") + code + b"u."


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (b"cdecimal\nDecimal\n" + text("19.95") + b"\x85R", "19.95"),
        (
            b"cdatetime\ndatetime\n(M\xea\x07K\x01K\x02K\x03K\x04K\x05J\xa6\x02\0\0tR",
            "2026-01-02 03:04:05.000678",
        ),
        (b"cdatetime\ndate\nM\xea\x07K\x01K\x02\x87R", "2026-01-02"),
        (b"cdatetime\ntime\n(K\x03K\x04K\x05K\x00tR", "03:04:05"),
        (b"cdatetime\ntimedelta\nK\x01K\x02K\x00\x87R", "1 day, 0:00:02"),
        (b"c__builtin__\nset\n](K\x02K\x01e\x85R", "[1, 2]"),
        (b"c__builtin__\nbytearray\n" + text("ab") + text("latin-1") + b"\x86R", "ab"),
        (b"c__builtin__\ncomplex\nG" + bytes(8) + b"G" + bytes(8) + b"\x86R", "0j"),
        (b"}(K\x01" + text("a") + b"N" + text("b") + b"u", '{"1": "a", "null": "b"}'),
        (b"L123456789012345678901234567890L\n", "123456789012345678901234567890"),
        (b"I01\n", True),
        (b"F0.5\n", 0.5),
        (b"(V\\u00e9\nlp3\n", '["é"]'),
        (b"(dVa\nI1\ns", '{"a": 1}'),
        (b"]\x94(K\x01K\x02e", "[1, 2]"),
        (b"\x8e" + struct.pack("<Q", 2) + b"ab", "ab"),
        (b"\x8d" + struct.pack("<Q", 2) + b"ab", "ab"),
    ],
)
def test_rows_of_other_picklers(code: bytes, expected: object) -> None:
    """Picklers of Java, Go and Node write the same values in other ways."""
    assert item(record(code)) == expected


keys = st.text(max_size=4) | st.integers() | st.none() | st.booleans() | st.tuples(st.integers())
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.decimals(allow_nan=False)
    | st.datetimes()
    | st.dates()
    | st.timedeltas()
    | st.uuids()
    | st.fractions()
    | st.sets(st.integers(-9, 9), max_size=4)
    | st.frozensets(st.text(max_size=2), max_size=3)
)
nested = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(nested, st.integers(0, 5))
def test_both_senders_give_the_same_item(value: object, protocol: int) -> None:
    """What the daemon makes of a pickle is what `LogdHandler` makes of the value itself."""
    payload = pickle.dumps({"msg": "m", "created": 1.5, "value": value}, protocol)
    expected = item_value(value)
    if type(expected) is float and not math.isfinite(expected):
        # No output has a place for these.
        expected = str(expected)
    assert item(payload) == expected

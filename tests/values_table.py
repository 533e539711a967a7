"""What the values of an application become as special items, whoever sends them.

One table for both senders: `LogdHandler` makes items of the values themselves, the daemon makes
them of the pickles of `SocketHandler`. The rule: numbers, texts, bools and None stay what they
are; a container is JSON, sets in order; all else is the text that `str()` gives.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import http
import ipaddress
import pathlib
import types
import uuid
from typing import Any, NamedTuple

import numpy as np

__all__ = ["VALUES", "Broken", "ValueRow"]


class ValueRow(NamedTuple):
    """One value.

    Attributes:
        name: names the row in tests.
        value: what the application gives as `extra`.
        item: the special item that it becomes.
        pickled: the item made of its pickle, if that can't say all: nothing is looked up or
            called to read one. None stands for the same as `item`.
    """

    name: str
    value: Any
    item: str | int | float | None
    pickled: str | None = None


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    A = 3


class Name(str, enum.Enum):  # noqa: UP042 - a StrEnum's str() is its value
    X = "sx"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


@dataclasses.dataclass
class Point:
    x: int
    y: str


class Pair(NamedTuple):
    a: int
    b: int


class OwnError(Exception):
    pass


class Broken:
    """Has no text: `str()` and `repr()` raise."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


_UTC = dt.timezone.utc  # noqa: UP017 - its name in Python 3.9, too
_DECIMAL = decimal.Decimal("1.10")
_UUID = uuid.UUID(int=5)

VALUES = [
    ValueRow("text", "käse", "käse"),
    ValueRow("text subclass", Text("t"), "t"),
    ValueRow("integer", 5, 5),
    ValueRow("largest integer", 2**63 - 1, 2**63 - 1),
    ValueRow("smallest integer", -(2**63), -(2**63)),
    ValueRow("integer of more than 64 bit", 2**70, str(2**70)),
    ValueRow("integer subclass", Number(7), 7),
    ValueRow("float", 0.25, 0.25),
    ValueRow("true", True, True),
    ValueRow("none", None, None),
    ValueRow("bytes", b"caf\xc3\xa9 \xff", "café \\xff"),
    ValueRow("bytearray", bytearray(b"ab"), "ab"),
    ValueRow("complex", 1 + 2j, "(1+2j)"),
    ValueRow("decimal", _DECIMAL, "1.10"),
    ValueRow("fraction", fractions.Fraction(1, 3), "1/3"),
    ValueRow("uuid", _UUID, "00000000-0000-0000-0000-000000000005"),
    ValueRow("date", dt.date(2026, 1, 2), "2026-01-02"),
    ValueRow("time", dt.time(3, 4, 5), "03:04:05"),
    ValueRow("naive datetime", dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05"),
    ValueRow(
        "datetime in UTC",
        dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=_UTC),
        "2026-01-02 03:04:05.000678+00:00",
    ),
    ValueRow("timedelta", dt.timedelta(days=1, seconds=2), "1 day, 0:00:02"),
    ValueRow("path", pathlib.PurePosixPath("/var/log/a b"), "/var/log/a b"),
    ValueRow("address", ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    ValueRow("range", range(3), "range(0, 3)"),
    ValueRow("status of HTTP", http.HTTPStatus.NOT_FOUND, 404),
    ValueRow("enum", Color.RED, "Color.RED", "Color(1)"),
    ValueRow("enum of integers", Level.A, 3, "Level(3)"),
    ValueRow("enum of texts", Name.X, "Name.X", "Name('sx')"),
    ValueRow("dataclass", Point(1, "two"), "Point(x=1, y='two')"),
    ValueRow("named tuple", Pair(1, 2), "Pair(a=1, b=2)", "Pair(1, 2)"),
    ValueRow("namespace", types.SimpleNamespace(a=1), "namespace(a=1)"),
    ValueRow("exception", ValueError("no such order"), "no such order"),
    ValueRow("exception of two arguments", KeyError("a", 1), "('a', 1)"),
    ValueRow("exception of the application", OwnError("gone"), "gone", "OwnError('gone')"),
    ValueRow("list", [1, "ä", None, True, 0.5], '[1, "ä", null, true, 0.5]'),
    ValueRow("tuple", (1, (2,)), "[1, [2]]"),
    ValueRow("dict", {"a": [1, {"b": "ü"}]}, '{"a": [1, {"b": "ü"}]}'),
    ValueRow("dict of numbers", {200: 5, None: 1, 0.5: 2}, '{"200": 5, "null": 1, "0.5": 2}'),
    ValueRow("dict of tuples", {(1, "a"): [(2,)]}, "{\"(1, 'a')\": [[2]]}"),
    ValueRow("ordered dict", collections.OrderedDict(b=1, a=2), '{"b": 1, "a": 2}'),
    ValueRow("default dict", collections.defaultdict(list, a=[1]), '{"a": [1]}'),
    ValueRow("counter", collections.Counter("aab"), '{"a": 2, "b": 1}'),
    ValueRow("set", {"b", "a", "c"}, '["a", "b", "c"]'),
    ValueRow("frozen set", frozenset({2, 10, 1}), "[1, 2, 10]"),
    ValueRow("deque", collections.deque([1, 2], 5), "[1, 2]"),
    ValueRow(
        "values in containers",
        {"price": _DECIMAL, "ids": [_UUID], "days": {dt.date(2026, 1, 2)}, "raw": b"r"},
        '{"price": "1.10", "ids": ["00000000-0000-0000-0000-000000000005"], '
        '"days": ["2026-01-02"], "raw": "r"}',
    ),
    ValueRow("numpy integer", np.int64(5), 5),
    ValueRow("numpy byte", np.uint8(200), 200),
    ValueRow("numpy double", np.float64(0.25), 0.25),
    ValueRow("numpy float of 32 bit", np.float32(0.1), 0.1),
    ValueRow("numpy bool", np.bool_(True), True),
]

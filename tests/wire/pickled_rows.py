"""Values as the picklers of each CPython write them: rows of bytes, kept in `pickled_rows.txt`.

`python -m tests.wire.pickled_rows` makes the rows anew with every Python that pyenv has. A row is
the value's name and the pickle of a record that has it as `value`, in hexadecimal digits; rows that
are equal in several versions or protocols stand there once.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROWS = Path(__file__).with_name("pickled_rows.txt")

# Runs under every Python from 2.7 on.
MAKER = r"""# -*- coding: utf-8 -*-
import binascii, collections, datetime, decimal, fractions, pickle, sys, uuid
try:
    import cPickle
except ImportError:
    cPickle = pickle

class Old:
    pass

class Order(object):
    def __init__(self):
        self.number = 7

class Slots(object):
    __slots__ = ("a", "b")
    def __init__(self):
        self.a = 1

class Text(str):
    pass

class Number(int):
    pass

Pair = collections.namedtuple("Pair", "a b")
old = Old()
old.a = 1
cyclic = [1]
cyclic.append(cyclic)
default = collections.defaultdict(list)
default["a"] = [1]
values = {
    "text": u"k\xe4se", "bytes": b"ab", "bytearray": bytearray(b"ab"), "big": 2 ** 600,
    "true": True, "none": None, "float": 0.25, "negative": -5, "complex": 1 + 2j,
    "decimal": decimal.Decimal("1.10"), "fraction": fractions.Fraction(1, 3),
    "uuid": uuid.UUID(int=5), "date": datetime.date(2026, 1, 2),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 678), "time": datetime.time(3, 4, 5),
    "timedelta": datetime.timedelta(1, 2), "dict": {200: {u"a": [1, (2,)]}}, "none key": {None: 1},
    "tuple key": {(1, 2): 3}, "set": set([1]), "frozenset": frozenset([2]), "old": old,
    "order": Order(), "pair": Pair(1, 2), "str subclass": Text("t"), "int subclass": Number(7),
    "ordered": collections.OrderedDict([(u"b", 1), (u"a", 2)]), "default": default,
    "deque": collections.deque([1, 2], 5), "error": ValueError("gone"), "class": Order,
    "cyclic": cyclic, "range": range(3) if sys.version_info[0] > 2 else xrange(3),
    "deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],
}
if sys.version_info >= (3, 5):
    import enum, http, ipaddress, pathlib
    Color = enum.Enum("Color", "RED")
    Level = enum.IntEnum("Level", "AUDIT")
    values.update({
        "status": http.HTTPStatus.NOT_FOUND, "path": pathlib.PurePosixPath("/var/log/a b"),
        "address": ipaddress.ip_address(u"10.0.0.1"), "enum": Color.RED, "level": Level.AUDIT,
        "utc": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    })
for name in sorted(values):
    for module in (pickle, cPickle):
        for protocol in range(module.HIGHEST_PROTOCOL + 1):
            record = {u"msg": u"m", u"created": 1.5, u"value": values[name]}
            try:
                data = module.dumps(record, protocol)
            except TypeError:
                continue
            print("%s\t%s" % (name, binascii.hexlify(data).decode()))
"""


def interpreters() -> list[Path]:
    """All Pythons of pyenv."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    return sorted(root.glob("versions/*/bin/python"))


def rows_of(python: Path) -> set[str]:
    """The rows that one Python makes."""
    made = subprocess.run([python, "-c", MAKER], capture_output=True, text=True, check=True)
    return set(made.stdout.splitlines())


def main() -> None:
    """Write the rows of all Pythons."""
    rows = set().union(*map(rows_of, interpreters()))
    ROWS.write_text("".join(f"{row}\n" for row in sorted(rows)))


if __name__ == "__main__":
    main()

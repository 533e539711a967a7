"""Frames that try to harm a daemon, as a table: name, payload, whether it must be refused.

None of them may run code, end the process, or cost more than 64 MiB or 100 ms. Rows that need not
be refused are odd but harmless; what matters for them is the cost. The table is pure data: tests
of the decoder measure each row in a process of its own, tests of the daemon send each to it.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

MIB = 1 << 20
NOW = struct.pack(">d", 1.7e9)


class Hostile(NamedTuple):
    name: str
    payload: bytes
    is_refused: bool = True


def _counted4(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def text(value: str | bytes) -> bytes:
    """BINUNICODE."""
    return b"X" + _counted4(value.encode() if isinstance(value, str) else value)


# The opcodes of an 11-tuple up to the field that a row is about.
_TO_MSG = b"(K\x01K\x02K\x03" + text("t") + b"G" + NOW
_TO_PATH = _TO_MSG + text("m") + text("E")
_TO_SPECIAL = _TO_PATH + b")K\x05" + text("f")
_REST_AFTER_PATH = b"K\x05" + text("f") + b"}t."


def with_msg(code: bytes) -> bytes:
    """An 11-tuple whose msg is what the opcodes make."""
    return _TO_MSG + code + text("E") + b")" + _REST_AFTER_PATH


def with_path(code: bytes) -> bytes:
    """An 11-tuple whose path is what the opcodes make."""
    return _TO_PATH + code + _REST_AFTER_PATH


def with_special(code: bytes) -> bytes:
    """An 11-tuple whose special items is what the opcodes make."""
    return _TO_SPECIAL + code + b"t."


def log_record(code: bytes) -> bytes:
    """A LogRecord dict with further items given as opcodes (key, value, ...)."""
    return b"}q\x00(" + text("msg") + text("m") + text("created") + b"G" + NOW + code + b"u."


def batch(
    *,
    first: object = 1,
    count: object = 1,
    contexts: object = ((1, 2, "t", "E", (), 0, "f"),),
    index: object = b"",
    msgids: object = 1,
    times: object = NOW,
    msgs: object = "m",
    specials: object = (),
) -> bytes:
    """A session's batch of one record, but for the columns given."""
    return pickle.dumps(("batch", first, count, contexts, index, msgids, times, msgs, specials), 4)


NAMES = (
    "msgid",
    "pid",
    "tid",
    "threadname",
    "ts",
    "msg",
    "cat",
    "path",
    "tblen",
    "cfunc",
    "special",
)
ROW = (1, 2, 3, "t", 1.7e9, "m", "E", (("a.py", 1),), 5, "f", {})


def row(**fields: object) -> tuple[object, ...]:
    """An 11-tuple, but for the fields given by name."""
    return tuple(fields.get(name, value) for name, value in zip(NAMES, ROW, strict=True))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _rows(rows: Iterable[int]) -> bytes:
    """Row numbers of records that share items."""
    return b"".join(struct.pack(">H", row) for row in rows)


class _Runs:
    """What any pickle could do to a careless reader."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("import os; os._exit(66)",))


class _ShellCommand:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("kill -9 $PPID",))


def _doubled(levels: int, opening: bytes, closing: bytes) -> bytes:
    """A pair of two times the pair before: 2**levels leaves to print or to hash."""
    code = text("x") + b"q\x00"
    for level in range(levels):
        get = b"h" + bytes([level])
        code += opening + get + get + closing + b"q" + bytes([level + 1])
    return code


def _same_hash_keys(count: int) -> bytes:
    """Integers that are equal modulo 2**61 - 1, which is how CPython hashes them."""
    code = b""
    for n in range(1, count + 1):
        value = n * (2**61 - 1)
        data = value.to_bytes(10, "little")
        code += b"\x8a\x0a" + data + b"N"
    return b"}(" + code + b"u"


def _many(parts: bytes, size: int = MIB - 200) -> bytes:
    return parts * (size // len(parts))


CODE = [
    Hostile("reduce: exec", pickle.dumps(_Runs())),
    *[Hostile(f"reduce: exec, protocol {n}", pickle.dumps(_Runs(), n)) for n in range(6)],
    Hostile("reduce: os.system", pickle.dumps(_ShellCommand(), 4)),
    Hostile("reduce in a record", pickle.dumps(row(msg=_Runs()), 2)),
    Hostile(
        "reduce in special items", pickle.dumps(row(special={"a": _Runs()}), 4), is_refused=False
    ),
    Hostile(
        "reduce in a LogRecord",
        log_record(text("a") + b"cos\nsystem\n(" + text("id") + b"tR"),
        is_refused=False,
    ),
    Hostile("reduce in a batch", batch(specials=((0, "a", _Runs()),)), is_refused=False),
    Hostile(
        "reduce as the message of a LogRecord",
        pickle.dumps({"msg": _Runs(), "created": 1.0}, 1),
        is_refused=False,
    ),
    Hostile(
        "reduce as the time of a LogRecord",
        pickle.dumps({"msg": "m", "created": _Runs()}, 1),
        is_refused=False,
    ),
    Hostile(
        "reduce as a key", with_special(b"}cos\nsystem\n(" + text("id") + b"tRNs"), is_refused=False
    ),
    Hostile("reduce as a call path", pickle.dumps(row(path=_Runs()), 4)),
    Hostile("reduce of a text", with_special(b"}" + text("a") + text("os.system") + b")Rs")),
    Hostile(
        "a name of 300 characters",
        with_special(b"}" + text("a") + b"c" + b"m" * 300 + b"\nn\ns"),
        is_refused=False,
    ),
    Hostile("a flood of names", b"(" + _many(b"ca\nb\n") + b"t."),
    Hostile("a flood of calls", b"(cos\nsystem\n" + _many(b")R") + b"t."),
    Hostile("GLOBAL", b"cos\nsystem\n."),
    Hostile("GLOBAL as msg", with_msg(b"cos\nsystem\n")),
    Hostile("STACK_GLOBAL", b"\x80\x04\x8c\x02os\x8c\x06system\x93."),
    Hostile("STACK_GLOBAL as msg", with_msg(b"\x8c\x02os\x8c\x06system\x93")),
    Hostile("INST", b"(S'id'\nios\nsystem\n."),
    Hostile("OBJ", b"(cos\nsystem\nS'id'\no."),
    Hostile("NEWOBJ", b"cbuiltins\nlist\n)\x81."),
    Hostile("NEWOBJ_EX", b"\x80\x04\x8c\x08builtins\x8c\x04list\x93)}\x92."),
    Hostile("BUILD", b"}}b."),
    Hostile("BUILD in a record", with_special(b"}}b"), is_refused=False),
    Hostile("EXT1", b"\x82\x01."),
    Hostile("EXT2", b"\x83\x01\x00."),
    Hostile("EXT4", b"\x84\x01\x00\x00\x00."),
    Hostile("PERSID", b"P1\n."),
    Hostile("BINPERSID", b"K\x01Q."),
    Hostile("BYTEARRAY8", b"\x96" + struct.pack("<Q", 4) + b"abcd."),
    Hostile("BYTEARRAY8 of 2**40", b"\x96" + struct.pack("<Q", 1 << 40) + b"."),
    Hostile("NEXT_BUFFER", b"\x97."),
    Hostile("READONLY_BUFFER", b"\x97\x98."),
    Hostile("EMPTY_SET", b"\x8f."),
    Hostile("ADDITEMS", b"\x8f(K\x01K\x02\x90."),
    Hostile("FROZENSET", b"(K\x01\x91."),
    Hostile("POP", b"NN0."),
    Hostile("DUP", b"N2\x86."),
    Hostile("POP_MARK", b"N(N1."),
    Hostile(
        "FRAME that hides a GLOBAL",
        b"\x80\x04\x95" + struct.pack("<Q", 30) + b"\x8c\x0ccos\nsystem\n." + b"." * 18,
    ),
    Hostile(
        "FRAME within FRAME",
        b"\x80\x04\x95" + struct.pack("<Q", 12) + b"N\x95" + struct.pack("<Q", 2) + b"N.",
    ),
    Hostile("FRAME beyond the end", b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N."),
    Hostile(
        "FRAME in the middle of a string",
        with_msg(b"X\x0b\x00\x00\x00\xc2\x95\x02\x00\x00\x00\x00\x00\x00\x00c"),
        is_refused=False,
    ),
    Hostile(
        "FRAME over a GLOBAL in a record",
        with_msg(b"\x95" + struct.pack("<Q", 11) + b"cos\nsystem\n"),
    ),
    Hostile("floods of FRAME", _many(b"\x95\x00\x00\x00\x00\x00\x00\x00\x00") + b"N."),
]

MEMO = [
    Hostile("LONG_BINPUT 0x10000000", b"Nr\x00\x00\x00\x10."),
    Hostile("LONG_BINPUT 0x7fffffff", b"Nr\xff\xff\xff\x7f."),
    Hostile(
        "LONG_BINPUT in a record", with_msg(text("m") + b"r\x00\x00\x00\x10"), is_refused=False
    ),
    Hostile(
        "LONG_BINPUT in a LogRecord",
        log_record(text("a") + b"Nr\x00\x00\x00\x10"),
        is_refused=False,
    ),
    Hostile("PUT 268435456", b"Np268435456\n."),
    Hostile("PUT 10**18", b"Np1000000000000000000\n."),
    Hostile("PUT in a record", with_msg(text("m") + b"p268435456\n"), is_refused=False),
    Hostile("PUT -1", b"Np-1\n."),
    Hostile("PUT of a million digits", b"Np" + b"9" * 1000000 + b"\n."),
    Hostile("PUT with nothing on the stack", b"q\x00."),
    Hostile("PUT of a mark", b"(q\x00."),
    Hostile("BINGET of what is not there", b"h\x07."),
    Hostile("LONG_BINGET of what is not there", b"j\xff\xff\xff\x7f."),
    Hostile("GET of what is not there", b"g7\n."),
    Hostile("GET in a record", with_msg(b"h\x63")),
    Hostile("GET in a LogRecord", log_record(text("a") + b"h\x63")),
    Hostile("MEMOIZE flood", b"N" + _many(b"\x94") + b"."),
    Hostile("BINGET flood", b"(" + text("x" * 200) + b"q\x00" + _many(b"h\x00") + b"t."),
    Hostile("a list that holds itself", b"]q\x00h\x00a."),
    Hostile(
        "a list that holds itself, in special",
        with_special(b"}" + text("a") + b"]q\x05h\x05as"),
        is_refused=False,
    ),
    Hostile("a dict that holds itself", b"}q\x00" + text("a") + b"h\x00s."),
    Hostile("a LogRecord that holds itself", log_record(text("a") + b"h\x00"), is_refused=False),
    Hostile(
        "a LogRecord that holds itself, put elsewhere",
        log_record(text("a") + b"h\x07").replace(b"}q\x00", b"}q\x07", 1),
        is_refused=False,
    ),
    Hostile("a tuple that holds itself", b"]q\x00(h\x00tq\x01ah\x01."),
    Hostile(
        "special items that hold themselves",
        with_special(b"}q\x05" + text("a") + b"h\x05s"),
        is_refused=False,
    ),
    Hostile(
        "a list that grows after it was used",
        with_special(b"}" + text("a") + b"]q\x05" + b"sh\x05K\x01a0"),
        is_refused=False,
    ),
]

DEPTH = [
    Hostile("nested one-tuples", b")" + b"\x85" * (MIB - 200) + b"."),
    Hostile("nested one-tuples as a key", b"})" + b"\x85" * 300_000 + b"Ns."),
    Hostile(
        "nested one-tuples as a key in special", with_special(b"})" + b"\x85" * 300_000 + b"Ns")
    ),
    Hostile("nested two-tuples", b"N" + b"N\x86" * 500_000 + b"."),
    Hostile(
        "nested two-tuples as a key in special", with_special(b"}N" + b"N\x86" * 400_000 + b"Ns")
    ),
    Hostile(
        "nested two-tuples as a key in a batch",
        b"("
        + text("batch")
        + b"K\x01K\x01((K\x01K\x02"
        + text("t")
        + text("E")
        + b")K\x00"
        + text("f")
        + b"t\x85B\x00\x00\x00\x00K\x01C\x08"
        + NOW
        + text("m")
        + b"(K\x00N"
        + b"N\x86" * 400_000
        + b"Nt\x85t.",
    ),
    Hostile("nested two-tuples as msg", with_msg(b"N" + b"N\x86" * 400_000)),
    Hostile("nested two-tuples as path", with_path(b"N" + b"N\x86" * 400_000)),
    Hostile(
        "nested two-tuples as a context",
        b"("
        + text("batch")
        + b"K\x01K\x01N"
        + b"N\x86" * 400_000
        + b"B\x00\x00\x00\x00K\x01C\x08"
        + NOW
        + text("m")
        + b")t.",
    ),
    Hostile("nested lists", _many(b"]") + _many(b"a", 1000) + b"."),
    Hostile("nested lists, complete", b"]" * 500_000 + b"a" * 499_999 + b"."),
    Hostile("nested lists, protocol 0", b"(" * 500_000 + b"l" * 500_000 + b"."),
    Hostile("nested tuples, protocol 0", b"(" * 500_000 + b"t" * 500_000 + b"."),
    Hostile("nested dicts", _many(b"}K\x01") + b"."),
    Hostile(
        "nested dicts, complete",
        b"".join([b"}" + text("a")] * 100_000) + b"N" + b"s" * 100_000 + b".",
    ),
    Hostile("marks only", b"(" * (MIB - 200)),
    Hostile(
        "nested list of 40 levels in special",
        pickle.dumps(row(special={"a": json.loads("[" * 40 + "]" * 40)}), 4),
        is_refused=False,
    ),
    Hostile("JSON: nested arrays", b"[" * (MIB - 200)),
    Hostile("JSON: nested objects", b'[{"a":' * 150_000),
    Hostile(
        "JSON: nested in special",
        _json(row(special={}))[:-3] + b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    ),
    Hostile("JSON: nested with a surrogate", b'["\\ud800",' + b"[" * 500_000),
    Hostile("MessagePack: nested arrays", b"\x91" * (MIB - 200)),
    Hostile("MessagePack: nested maps", b"\x9b" + b"\x81\xa1a" * 300_000),
]

EXPANSION = [
    Hostile("tuples shared 2**200 times", _doubled(200, b"(", b"t") + b"."),
    Hostile("tuples shared 2**200 times as a key", b"}" + _doubled(200, b"(", b"t") + b"Ns."),
    Hostile("tuples shared 2**200 times as msg", with_msg(_doubled(200, b"(", b"t"))),
    Hostile("tuples shared 2**200 times as path", with_path(_doubled(200, b"(", b"t"))),
    Hostile(
        "tuples shared 2**200 times in special",
        with_special(b"}" + text("a") + _doubled(200, b"(", b"t") + b"s"),
    ),
    Hostile(
        "lists shared 2**200 times in special",
        with_special(b"}" + text("a") + _doubled(200, b"(", b"l") + b"s"),
    ),
    Hostile(
        "lists shared 2**40 times in a LogRecord",
        log_record(text("a") + _doubled(40, b"(", b"l").replace(b"q\x00", b"q\x01", 1)),
        is_refused=False,
    ),
    Hostile(
        "a text of 500 kB shared 1,000 times in special",
        with_special(
            b"}("
            + text("k")
            + text("x" * 500_000)
            + b"q\x01"
            + b"".join(text(f"k{n}") + b"h\x01" for n in range(1000))
            + b"u"
        ),
        is_refused=False,
    ),
    Hostile(
        "a text of 500 kB shared 1,000 times in a list",
        with_special(
            b"}" + text("k") + b"](" + text("x" * 500_000) + b"q\x01" + b"h\x01" * 1000 + b"es"
        ),
        is_refused=False,
    ),
    Hostile(
        "a text of 500 kB shared in a path",
        with_path(
            b"(" + text("x" * 500_000) + b"q\x01K\x01\x86" + b"h\x01K\x01\x86" * 50_000 + b"t"
        ),
    ),
    Hostile(
        "a text of 500 kB shared in a path of 2,000 levels",
        with_path(b"(" + text("x" * 500_000) + b"q\x01K\x01\x86" + b"h\x01K\x01\x86" * 2000 + b"t"),
        is_refused=False,
    ),
    Hostile(
        "a text of 500 kB as all fields of a LogRecord",
        log_record(
            text("exc_text")
            + text("x" * 500_000)
            + b"q\x05"
            + text("stack_info")
            + b"h\x05"
            + text("funcName")
            + b"h\x05"
            + text("threadName")
            + b"h\x05"
            + text("name")
            + b"h\x05"
            + text("pathname")
            + b"h\x05"
            + b"".join(text(f"k{n}") + b"h\x05" for n in range(280))
        ),
        is_refused=False,
    ),
    Hostile(
        "contexts with one long path",
        batch(
            count=8_000,
            contexts=tuple((n, 2, "t", "E", (("x" * 1000, 1),) * 16, 0, "f") for n in range(256)),
            index=bytes(n % 256 for n in range(8_000)),
            times=NOW * 8_000,
            msgs="\0" * 7_999,
        ),
        is_refused=False,
    ),
    Hostile(
        "8,192 records of one long context, with too few times",
        batch(
            count=8_192,
            contexts=((1, 2, "t" * 500_000, "E" * 1000, (("x" * 1000, 1),) * 16, 0, "f" * 1000),),
            times=NOW * 4_096,
            msgs="\0" * 8_191,
        ),
    ),
    Hostile(
        "8,000 records of one long context",
        batch(
            count=8_000,
            contexts=((1, 2, "t" * 100_000, "E" * 1000, (("x" * 1000, 1),) * 16, 0, "f" * 1000),),
            times=NOW * 8_000,
            msgs="\0" * 7_999,
        ),
        is_refused=False,
    ),
    Hostile(
        "one message shared by 8,000 records",
        batch(count=8_000, times=NOW * 8_000, msgs=("\0" + "x" * 200_000,) * 8_000),
        is_refused=False,
    ),
    Hostile(
        "one value shared by 8,000 rows",
        batch(
            count=8_000,
            times=NOW * 8_000,
            msgs="\0" * 7_999,
            specials=tuple((n, "k", _LONG) for _LONG in ["x" * 200_000] for n in range(8_000)),
        ),
        is_refused=False,
    ),
    Hostile(
        "one value for the rows of 8,192 records",
        batch(
            count=8_192,
            times=NOW * 8_192,
            msgs="\0" * 8_191,
            specials=((_rows(range(8_192)), "k", "x" * 800_000),),
        ),
        is_refused=False,
    ),
    Hostile(
        "256 items of 250 characters for the rows of 8,192 records",
        batch(
            count=8_192,
            times=NOW * 8_192,
            msgs="\0" * 8_191,
            specials=(
                (
                    _rows(range(8_192)),
                    *[part for n in range(256) for part in (f"k{n}", "x" * 250)],
                ),
            ),
        ),
        is_refused=False,
    ),
    Hostile(
        "five long values for each of 4,096 pairs of rows",
        batch(
            count=8_192,
            times=NOW * 8_192,
            msgs="\0" * 8_191,
            specials=tuple(
                (_rows((n, n + 4_096)), *_FLOOD)
                for _FLOOD in [tuple(str(n) * 32_000 for n in range(10))]
                for n in range(4_096)
            ),
        ),
        is_refused=False,
    ),
    Hostile(
        "8,192 rows of one row each",
        batch(
            count=8_192,
            times=NOW * 8_192,
            msgs="\0" * 8_191,
            specials=tuple((_rows((n,)), "k", n) for n in range(8_192)),
        ),
        is_refused=False,
    ),
    Hostile(
        "rows of half a megabyte",
        batch(specials=((_rows(range(8_192)) * 20, "k", 1),)),
    ),
    Hostile(
        "rows without items over and over",
        batch(
            count=8_192,
            times=NOW * 8_192,
            msgs="\0" * 8_191,
            specials=tuple((_rows(range(n, 8_192)),) for n in range(24)),
        ),
        is_refused=False,
    ),
    Hostile(
        "one context listed 300,000 times",
        b"("
        + text("batch")
        + b"K\x01K\x01((K\x01K\x02"
        + text("t")
        + text("E")
        + b")K\x00"
        + text("f")
        + b"tq\x01"
        + b"h\x01" * 300_000
        + b"tB\x00\x00\x00\x00K\x01C\x08"
        + NOW
        + text("m")
        + b")t.",
    ),
    Hostile(
        "one context listed 8,000 times, in use",
        b"("
        + text("batch")
        + b"K\x01J"
        + struct.pack("<i", 8_000)
        + b"((K\x01K\x02"
        + text("t")
        + text("E")
        + b"("
        + (text("x" * 1000) + b"q\x02K\x01\x86" + b"h\x02K\x01\x86" * 15)
        + b"tK\x00"
        + text("f")
        + b"tq\x01"
        + b"h\x01" * 7_999
        + b"tB"
        + _counted4(b"".join(struct.pack(">H", n) for n in range(8_000)))
        + b"K\x01B"
        + _counted4(NOW * 8_000)
        + text("\0" * 7_999)
        + b")t.",
    ),
    Hostile(
        "8,000 contexts in use",
        batch(
            count=8_000,
            contexts=tuple((n, 2, "t", "E", (), 0, "f") for n in range(8_000)),
            index=b"".join(struct.pack(">H", n) for n in range(8_000)),
            times=NOW * 8_000,
            msgs="\0" * 7_999,
        ),
        is_refused=False,
    ),
    Hostile("8,193 records", batch(count=8_193, times=NOW * 8_193, msgs="\0" * 8_192)),
    Hostile(
        "a second for each record",
        batch(
            count=8_192,
            times=b"".join(struct.pack(">d", 1.7e9 + n) for n in range(8_192)),
            msgs="\0" * 8_191,
        ),
        is_refused=False,
    ),
    Hostile(
        "messages of line ends",
        batch(count=8_192, times=NOW * 8_192, msgs="\0".join(["\n" * 50] * 8_192)),
        is_refused=False,
    ),
    Hostile(
        "messages of control characters",
        batch(count=8_192, times=NOW * 8_192, msgs="\0".join(["\x1b\n" * 25] * 8_192)),
        is_refused=False,
    ),
    Hostile("a million empty messages", batch(count=1, msgs="\0" * (MIB - 500))),
    Hostile(
        "a format for a gigabyte of blanks",
        pickle.dumps(row(msg="%1000000000d", special={"a": 1}), 2),
        is_refused=False,
    ),
    Hostile(
        "a format with arguments in a LogRecord",
        log_record(text("args") + b"K\x01").replace(text("m"), text("%1000000000d"), 1),
        is_refused=False,
    ),
]

# What is dear of a record, all at once: another context and path, time, number, unsafe text and
# items for each.
_DAYS = [1.7e9 + 86_461.0 * n for n in range(8_192)]
DIFFERENT = [
    Hostile(
        "4,900 records that differ in all",
        batch(
            count=4_900,
            contexts=tuple((n, 2, "t", "E", ((str(n), 1),), 0, "f") for n in range(4_900)),
            index=_rows(range(4_900)),
            msgids=bytes(8 * 4_900),
            times=struct.pack(">4900d", *_DAYS[:4_900]),
            msgs="\0".join([f"\x1b\n{n}" for n in range(4_900)]),
            specials=tuple((n, f"k{n}", f"\x1b{n}") for n in range(4_900)),
        ),
        is_refused=False,
    ),
    Hostile(
        "8,192 contexts of unsafe names",
        batch(
            count=8_192,
            contexts=tuple(
                (n, 2, f"\x1b{n:06}{'t' * 40}", "\u2028", (), 0, "\x1bf") for n in range(8_192)
            ),
            index=_rows(range(8_192)),
            times=NOW * 8_192,
            msgs="\0" * 8_191,
        ),
        is_refused=False,
    ),
    Hostile(
        "700 contexts of one path of 60 levels",
        batch(
            count=8_192,
            contexts=tuple(
                (n, 2, "t", "E", _PATH, 0, "f")
                for _PATH in [tuple(("x" * 20, n) for n in range(60))]
                for n in range(700)
            ),
            index=_rows(n % 700 for n in range(8_192)),
            times=NOW * 8_192,
            msgs="\0" * 8_191,
        ),
        is_refused=False,
    ),
    Hostile(
        "a day for each record",
        batch(count=8_192, times=struct.pack(">8192d", *_DAYS), msgs="\0" * 8_191),
        is_refused=False,
    ),
    Hostile(
        "one message of escapes shared by 8,192 records",
        batch(count=8_192, times=NOW * 8_192, msgs=("\0" + "\x1b" * 511,) * 8_192),
        is_refused=False,
    ),
    Hostile(
        "one value of escapes shared by 8,192 rows",
        batch(
            count=8_192,
            times=NOW * 8_192,
            msgs="\0" * 8_191,
            specials=tuple((n, "k", _ESCAPES) for _ESCAPES in ["\x1b" * 512] for n in range(8_192)),
        ),
        is_refused=False,
    ),
    Hostile(
        "20 small items for each of 1,200 rows",
        batch(
            count=1_200,
            times=NOW * 1_200,
            msgs="\0" * 1_199,
            specials=tuple(
                (n, *[part for key in range(20) for part in (f"{key:x}", key)])
                for n in range(1_200)
            ),
        ),
        is_refused=False,
    ),
    Hostile(
        "10 floats for each of 2,300 rows",
        batch(
            count=2_300,
            times=NOW * 2_300,
            msgs="\0" * 2_299,
            specials=tuple(
                (n, *[part for key in range(10) for part in (f"{key:x}", n + key / 7)])
                for n in range(2_300)
            ),
        ),
        is_refused=False,
    ),
    Hostile(
        "1,500 records of a simple sender that differ in all",
        pickle.dumps(
            (
                "batch",
                1,
                [
                    (n, 1, 2, f"t{n}", day, "\x1b", "E", ((f"f{n}", n),), 0, "f", {f"k{n}": "\x1b"})
                    for n, day in enumerate(_DAYS[:1_500])
                ],
            ),
            2,
        ),
        is_refused=False,
    ),
    Hostile(
        "4,096 tuples of a simple sender that differ in all",
        pickle.dumps(
            (
                "batch",
                1,
                tuple(
                    (n, 1, 2, f"t{n}", day, "\x1b", "E", ((f"f{n}", n),), 0, "f", None)
                    for n, day in enumerate(_DAYS[:4_096])
                ),
            ),
            2,
        ),
        is_refused=False,
    ),
    Hostile(
        "MessagePack: 4,096 records that differ in all",
        msgspec.msgpack.encode(
            [
                "batch",
                1,
                [
                    [n, 1, 2, "\x1b", day, "\x1b", "E", [[f"f{n}", n]], 0, "f", {f"k{n}": "\x1b"}]
                    for n, day in enumerate(_DAYS[:4_096])
                ],
            ]
        ),
        is_refused=False,
    ),
]

UNSAFE = [
    Hostile(f"a message of {name}", pickle.dumps(row(msg=msg), 2), is_refused=False)
    for name, msg in (
        ("NUL and a wide character", "\0" * (MIB - 400) + "\u20ac"),
        ("escapes and a letter with an accent", "\x1b" * (MIB - 400) + "\xe9"),
        ("line ends", "\n" * (MIB - 400)),
        ("C1 controls", "\x80" * (MIB // 2 - 400)),
        ("all controls", ("".join(map(chr, range(32))) + "\x80") * (MIB // 35)),
        ("backslashes and escapes", "\\\x1b" * (MIB // 2 - 400)),
    )
]

FLOODS = [
    Hostile("empty tuples", b"(" + _many(b")") + b"t."),
    Hostile("empty tuples as path", with_path(b"(" + _many(b")", MIB - 300) + b"t")),
    Hostile("one-tuples", b"(" + _many(b"N\x85") + b"t."),
    Hostile(
        "one-tuples in a session",
        b"(" + text("batch") + b"K\x01K\x01(" + _many(b"N\x85", MIB - 300) + b"tt.",
    ),
    Hostile("one-tuples, memoized", b"(" + _many(b"N\x85\x94") + b"t."),
    Hostile("two-tuples as path", with_path(b"(" + _many(b"NN\x86", MIB - 300) + b"t")),
    Hostile("three-tuples", b"(" + _many(b"NNN\x87") + b"t."),
    Hostile("marks and tuples", b"(" + _many(b"(Nt") + b"t."),
    Hostile("empty lists", b"(" + _many(b"]") + b"t."),
    Hostile("empty lists in a list", b"](" + _many(b"]") + b"e."),
    Hostile("empty dicts", b"(" + _many(b"}") + b"t."),
    Hostile(
        "empty dicts as special",
        with_special(b"}" + text("a") + b"(" + _many(b"}", MIB - 300) + b"ts"),
    ),
    Hostile("dicts of one item", b"(" + _many(b"}" + text("") + b"Ns") + b"t."),
    Hostile("a flood of None", b"(" + _many(b"N") + b"t."),
    Hostile("small texts", b"(" + _many(b"\x8c\x02ab") + b"t."),
    Hostile("wide texts", b"(" + _many(b"\x8c\x03\xe2\x82\xac") + b"t."),
    Hostile("small bytes", b"(" + _many(b"C\x02ab") + b"t."),
    Hostile("texts of Python 2", b"(" + _many(b"U\x02ab") + b"t."),
    Hostile("texts of protocol 0", b"(" + _many(b"S'ab'\n") + b"t."),
    Hostile("unicode of protocol 0", b"(" + _many(b"Vab\n") + b"t."),
    Hostile("integers", b"(" + _many(b"M\x01\x02") + b"t."),
    Hostile("long integers", b"(" + _many(b"\x8a\x01\x80") + b"t."),
    Hostile("integers as text", b"(" + _many(b"I300\n") + b"t."),
    Hostile("floats", b"(" + _many(b"G" + NOW) + b"t."),
    Hostile("floats as text", b"(" + _many(b"F1.5\n") + b"t."),
    Hostile("bools", b"(" + _many(b"\x88\x89") + b"t."),
    Hostile("PROTO", _many(b"\x80\x04") + b"N."),
    Hostile(
        "keys of a LogRecord",
        b"}q\x00(" + b"".join(text(f"{n:x}") + b"N" for n in range(95_000)) + b"u.",
    ),
    Hostile("one key over and over", b"}q\x00(" + _many(text("a") + b"N") + b"u."),
    Hostile(
        "keys of special",
        with_special(b"}(" + b"".join(text(f"{n:x}") + b"N" for n in range(60_000)) + b"u"),
    ),
    Hostile(
        "300 keys of special",
        with_special(b"}(" + b"".join(text(f"{n:x}") + b"N" for n in range(300)) + b"u"),
        is_refused=False,
    ),
    Hostile("integer keys of one hash", _same_hash_keys(20_000) + b"."),
    Hostile(
        "integer keys of one hash in special",
        with_special(_same_hash_keys(20_000)),
        is_refused=False,
    ),
    Hostile(
        "tuple keys",
        with_special(b"}(" + b"".join(b"K\x01K\x02\x86N" for _ in range(1000)) + b"u"),
        is_refused=False,
    ),
    Hostile("bytes keys", with_special(b"}C\x01aNs"), is_refused=False),
    Hostile("None as a key", with_special(b"}NNs"), is_refused=False),
    Hostile(
        "100,000 records of 11 None",
        b"(" + text("batch") + b"K\x01](" + _many(b"(" + b"N" * 11 + b"t", MIB - 300) + b"et.",
    ),
    Hostile(
        "8,000 special rows",
        batch(
            count=8_000,
            times=NOW * 8_000,
            msgs="\0" * 7_999,
            specials=tuple((n, "k", n) for n in range(8_000)),
        ),
        is_refused=False,
    ),
    Hostile("JSON: empty arrays", b"[" + b",".join([b"[]"] * 300_000) + b"]"),
    Hostile(
        "JSON: empty arrays with a surrogate", b'["\\ud800",' + b",".join([b"[]"] * 300_000) + b"]"
    ),
    Hostile(
        "JSON: empty objects in special",
        _json(row(special={}))[:-3] + b'{"a":[' + b",".join([b"{}"] * 300_000) + b"]}]",
    ),
    Hostile(
        "JSON: keys of special",
        _json(row(special={f"{n:x}": n for n in range(60_000)})),
        is_refused=False,
    ),
    Hostile("JSON: path", _json(row(path=[[None, None]] * 60_000)), is_refused=False),
    Hostile(
        "MessagePack: path",
        b"\x9b\x01\x02\x03\xa1t\xcb"
        + NOW
        + b"\xa1m\xa1E\xdd"
        + struct.pack(">I", 300_000)
        + b"\x92\xc0\xc0" * 300_000
        + b"\x05\xa1f\x80",
        is_refused=False,
    ),
    Hostile(
        "MessagePack: batch of records of nil",
        b"\x93\xa5batch\x01\xdd" + struct.pack(">I", 80_000) + (b"\x9b" + b"\xc0" * 11) * 80_000,
    ),
]

NUMBERS = [
    Hostile("LONG4 of a megabyte", b"\x8b" + _counted4(b"\x7f" * (MIB - 300)) + b"."),
    Hostile("LONG4 of -1 bytes", b"\x8b\xff\xff\xff\xff."),
    Hostile(
        "LONG4 in a record",
        with_special(b"}" + text("a") + b"\x8b" + _counted4(b"\x7f" * 60_000) + b"s"),
        is_refused=False,
    ),
    Hostile(
        "LONG1 of 255 bytes",
        with_special(b"}" + text("a") + b"\x8a\xff" + b"\x7f" * 255 + b"s"),
        is_refused=False,
    ),
    Hostile("LONG1 of 255 bytes as pid", b"(K\x01\x8a\xff" + b"\x7f" * 255 + b"t."),
    Hostile("LONG of a million digits", b"L" + b"9" * (MIB - 300) + b"L\n."),
    Hostile("INT of a million digits", b"I" + b"9" * (MIB - 300) + b"\n."),
    Hostile("INT of letters", b"Iabc\n."),
    Hostile("INT without end", b"I" + b"1" * 5000),
    Hostile("FLOAT of a million digits", b"F1." + b"9" * (MIB - 300) + b"\n."),
    Hostile("FLOAT of letters", b"Fabc\n."),
    *[
        Hostile(f"time {value!r}", pickle.dumps(row(ts=value), 2))
        for value in (
            float("nan"),
            float("inf"),
            -float("inf"),
            -1.0,
            253402300800.0,
            1e300,
            10**400,
            "1.0",
            None,
            True,
            (1,),
        )
    ],
    *[
        Hostile(
            f"time {value!r} in a LogRecord",
            log_record(text("created") + b"G" + struct.pack(">d", value)),
            is_refused=False,
        )
        for value in (float("nan"), float("inf"), -1.0, 1e12)
    ],
    *[
        Hostile(f"time {value!r} in a batch", batch(times=struct.pack(">d", value)))
        for value in (float("nan"), float("inf"), -float("inf"), -1.0, 1e12)
    ],
    Hostile(
        "NaN between good times in a batch",
        batch(count=3, times=NOW + struct.pack(">d", float("nan")) + NOW, msgs="\0\0"),
    ),
    Hostile(
        "infinities that cancel out in a batch",
        batch(count=2, times=struct.pack(">dd", float("inf"), -float("inf")), msgs="\0"),
    ),
    Hostile("JSON: time 1e999", _json(row()).replace(b"1700000000.0", b"1e999")),
    Hostile("JSON: time NaN", _json(row(ts=float("nan")))),
    Hostile("JSON: time Infinity with a surrogate", _json(row(ts=float("inf"), msg="\ud800"))),
    Hostile("JSON: an integer of a million digits", b"[" + b"9" * (MIB - 300) + b"]"),
    Hostile(
        "JSON: an integer of 4,000 digits as pid",
        _json(row()).replace(b"[1, 2,", b"[1, " + b"9" * 4000 + b",", 1),
    ),
    Hostile(
        "JSON: an integer of a million digits with a surrogate",
        b'["\\ud800",' + b"9" * (MIB - 300) + b"]",
    ),
    Hostile(
        "JSON: a float of a million digits",
        _json(row()).replace(b"1700000000.0", b"1." + b"9" * 1_000_000),
        is_refused=False,
    ),
    *[
        Hostile(f"{field} of 2**70", pickle.dumps(row(**{field: 2**70}), 2))
        for field in ("msgid", "pid", "tid", "tblen")
    ],
    Hostile("a line number of 2**70", pickle.dumps(row(path=(("a", 2**70),)), 2)),
    Hostile(
        "levelno of 2**70",
        log_record(text("levelno") + b"\x8a\x09" + b"\xff" * 8 + b"\x01"),
        is_refused=False,
    ),
    Hostile("sequence number 0", batch(first=0)),
    Hostile("sequence number 2**63", batch(first=2**63)),
    Hostile("sequence number -1", batch(first=-1)),
    Hostile(
        "message ids beyond 64 bit", batch(msgids=2**63 - 1, count=2, times=NOW * 2, msgs="\0")
    ),
    Hostile("2**40 records", batch(count=2**40)),
    Hostile("-1 records", batch(count=-1)),
    Hostile("0 records", batch(count=0, times=b"", msgs="")),
    Hostile("True records", batch(count=True)),
    Hostile("10**9 records with one context", batch(count=10**9, times=b"")),
]

SHAPES = [
    Hostile("nothing", b""),
    Hostile("one byte", b"\x80"),
    Hostile("STOP only", b"."),
    Hostile("None", pickle.dumps(None)),
    Hostile("a number", pickle.dumps(42)),
    Hostile("a text that is no ping", pickle.dumps("pong")),
    Hostile("an empty tuple", pickle.dumps(())),
    Hostile("an empty list", pickle.dumps([])),
    Hostile("an empty dict", pickle.dumps({})),
    Hostile("a record of 10 items", pickle.dumps(ROW[:10], 2)),
    Hostile("a record of 12 items", pickle.dumps((*ROW, 1), 2)),
    Hostile("a dict of something else", pickle.dumps({"a": 1}, 1)),
    Hostile("a LogRecord without a time", pickle.dumps({"msg": "m"}, 1)),
    Hostile(
        "a LogRecord with a list for a message",
        pickle.dumps({"msg": [], "created": 1.0}, 1),
        is_refused=False,
    ),
    Hostile("two pickles", pickle.dumps(ROW, 2) * 2),
    Hostile("bytes after the end", pickle.dumps(ROW, 2) + b"x"),
    Hostile("two values at the end", b"NN."),
    Hostile("a mark at the end", b"N(."),
    Hostile("takes from an empty stack", b"\x86."),
    Hostile("takes a mark for a value", b"(\x85."),
    Hostile("APPEND to a text", text("a") + b"Na."),
    Hostile("APPENDS to a tuple", b")(Ne."),
    Hostile("SETITEM on a list", b"]" + text("a") + b"Ns."),
    Hostile("SETITEMS with a key alone", b"}(" + text("a") + b"u."),
    Hostile("DICT with a key alone", b"(" + text("a") + b"d."),
    Hostile("protocol 99", b"\x80\x63N."),
    Hostile("an opcode that does not exist", b"\xff."),
    *[
        Hostile(f"{field} is a list", pickle.dumps(row(**{field: [1]}), 2))
        for field in (
            "msgid",
            "pid",
            "tid",
            "threadname",
            "ts",
            "msg",
            "cat",
            "tblen",
            "cfunc",
            "special",
        )
    ],
    Hostile("msgid is a text", pickle.dumps(row(msgid="1"), 2)),
    Hostile("threadname is a number", pickle.dumps(row(threadname=1), 2)),
    Hostile("path is a text", pickle.dumps(row(path="a.py"), 2)),
    Hostile("path of triples", pickle.dumps(row(path=(("a", 1, 2),)), 2)),
    Hostile("path with numbers for names", pickle.dumps(row(path=((1, 1),)), 2)),
    Hostile("special is a list of pairs", pickle.dumps(row(special=[("a", 1)]), 2)),
    Hostile("text that is not UTF-8", with_msg(text(b"\xff\xfe")), is_refused=False),
    Hostile(
        "text that is not UTF-8 in a LogRecord",
        log_record(text("a") + text(b"\xff\xfe")),
        is_refused=False,
    ),
    Hostile("a key that is not UTF-8", log_record(text(b"\xff\xfe") + b"N"), is_refused=False),
    Hostile("JSON: not UTF-8", b'["\xff"]'),
    Hostile("JSON: half", b"["),
    Hostile("JSON: an object", b'{"msg": "m"}'),
    Hostile("JSON: 10 items", _json(ROW[:10])),
    Hostile("JSON: another text", b'"pong"'),
    Hostile("JSON: a long text", b'"' + b"a" * 1000000 + b'"'),
    Hostile("JSON: a million blanks", b" " * (MIB - 300)),
    Hostile("JSON: backslashes", b'["' + b"\\" * (MIB - 300) + b'"]'),
    Hostile("MessagePack: an array of 2**32", b"\xdd\xff\xff\xff\xff"),
    Hostile(
        "MessagePack: a path of 2**28",
        b"\x9b\x01\x02\x03\xa1t\xcb" + NOW + b"\xa1m\xa1E\xdd\x0f\xff\xff\xff",
    ),
    Hostile("MessagePack: a batch of 2**28", b"\x93\xa5batch\x01\xdd\x0f\xff\xff\xff"),
    Hostile(
        "MessagePack: special of 2**28",
        b"\x9b\x01\x02\x03\xa1t\xcb" + NOW + b"\xa1m\xa1E\x90\x05\xa1f\xdf\x0f\xff\xff\xff",
    ),
    Hostile("MessagePack: a text of 2**32", b"\x9b\xdb\xff\xff\xff\xff"),
    Hostile("MessagePack: an extension", b"\x9b\xd6\xff\x00\x00\x00\x00"),
    Hostile("MessagePack: bytes after the end", b"\xa4pingx"),
    Hostile(
        "MessagePack: a number for a key",
        b"\x9b\x01\x02\x03\xa1t\xcb" + NOW + b"\xa1m\xa1E\x90\x05\xa1f\x81\x01\x01",
    ),
    Hostile("opening with a list for an id", pickle.dumps(("logd", 1, [1], 1, None), 4)),
    Hostile("opening with a short id", pickle.dumps(("logd", 1, b"short", 1, None), 4)),
    Hostile("opening with first 0", pickle.dumps(("logd", 1, b"c" * 16, 0, None), 4)),
    Hostile(
        "opening with a token of a megabyte",
        pickle.dumps(("logd", 1, b"c" * 16, 1, "t" * 1_000_000), 4),
    ),
    Hostile("opening without a version", pickle.dumps(("logd",), 4)),
    Hostile("batch of 4 items", pickle.dumps(("batch", 1, 2, 3), 4)),
    Hostile("batch of no records", pickle.dumps(("batch", 1, []), 4)),
    Hostile("batch of numbers", pickle.dumps(("batch", 1, [1, 2]), 4)),
    Hostile("contexts is a list", batch(contexts=[(1, 2, "t", "E", (), 0, "f")])),
    Hostile("no contexts", batch(contexts=())),
    Hostile("context of 6 items", batch(contexts=((1, 2, "t", "E", (), 0),))),
    Hostile("index beyond the contexts", batch(index=b"\x01")),
    Hostile("index of 2 for 1 record", batch(index=b"\x00\x00")),
    Hostile("index is a tuple", batch(index=(0,))),
    Hostile(
        "a context without a record",
        batch(contexts=((1, 2, "t", "E", (), 0, "f"), (2, 2, "t", "E", (), 0, "f")), index=b"\x00"),
    ),
    Hostile(
        "no index for two contexts",
        batch(contexts=((1, 2, "t", "E", (), 0, "f"), (2, 2, "t", "E", (), 0, "f"))),
    ),
    Hostile("msgids of 7 bytes", batch(msgids=b"1234567")),
    Hostile("msgids is a list", batch(msgids=[1])),
    Hostile("times of 7 bytes", batch(times=b"1234567")),
    Hostile("times is a text", batch(times="12345678")),
    Hostile("two messages for one record", batch(msgs="a\0b")),
    Hostile("msgs of numbers", batch(msgs=(1,))),
    Hostile("msgs is bytes", batch(msgs=b"a")),
    Hostile("specials is a dict", batch(specials={0: {}})),
    Hostile("special row beyond the batch", batch(specials=((1, "a", 1),))),
    Hostile("special row -1", batch(specials=((-1, "a", 1),))),
    Hostile("special rows of no row", batch(specials=((b"", "a", 1),))),
    Hostile("special rows of half a row", batch(specials=((b"\0", "a", 1),))),
    Hostile("special rows beyond the batch", batch(specials=((b"\0\1", "a", 1),))),
    Hostile("special rows of one row twice", batch(specials=((b"\0\0\0\0", "a", 1),))),
    Hostile("special rows as text", batch(specials=(("\0\0", "a", 1),))),
    Hostile("special rows and a row that meet", batch(specials=((b"\0\0", "a", 1), (0, "b", 1)))),
    Hostile("special row twice", batch(specials=((0, "a", 1), (0, "b", 1)))),
    Hostile("special key without a value", batch(specials=((0, "a"),))),
    Hostile("special key is a number", batch(specials=((0, 1, 1),)), is_refused=False),
    Hostile("special is empty", batch(specials=((),))),
]

STRINGS = [
    *[
        Hostile(f"{name} announces 2**31 bytes", code + b"\xff\xff\xff\x7f" + b"x.")
        for name, code in (("BINUNICODE", b"X"), ("BINBYTES", b"B"), ("BINSTRING", b"T"))
    ],
    *[
        Hostile(
            f"{name} announces 2**31 bytes in a LogRecord",
            log_record(text("a") + code + b"\xff\xff\xff\x7f" + b"x"),
        )
        for name, code in (("BINUNICODE", b"X"), ("BINBYTES", b"B"), ("BINSTRING", b"T"))
    ],
    *[
        Hostile(f"{name} announces 2**63 bytes", code + b"\xff" * 7 + b"\x7f" + b"x.")
        for name, code in (("BINUNICODE8", b"\x8d"), ("BINBYTES8", b"\x8e"))
    ],
    Hostile("BINSTRING of negative length", b"T\xff\xff\xff\xffx."),
    Hostile("SHORT_BINUNICODE cut off", b"\x8c\xffabc."),
    Hostile("SHORT_BINBYTES cut off", b"C\xffabc."),
    Hostile("STRING without quotes", b"Sabc\n."),
    Hostile("STRING with one quote", b"S'\n."),
    Hostile("STRING without end", b"S'" + b"a" * 1_000_000),
    Hostile(
        "STRING of backslashes", with_msg(b"S'" + b"\\\\" * 500_000 + b"'\n"), is_refused=False
    ),
    Hostile("STRING of escapes", with_msg(b"S'" + b"\\xff" * 200_000 + b"'\n"), is_refused=False),
    Hostile("UNICODE beyond Unicode", b"V\\U00110000\n."),
    Hostile("UNICODE with a broken escape", b"V\\u12\n."),
    Hostile("UNICODE without end", b"V" + b"a" * 1_000_000),
    Hostile(
        "bytes of Python 2 that are not UTF-8",
        with_msg(b"T" + _counted4(b"\xff" * 1_000_000)),
        is_refused=False,
    ),
    Hostile(
        "surrogates",
        pickle.dumps(row(msg="\ud800" * 1000, threadname="\udc80"), 2),
        is_refused=False,
    ),
    Hostile(
        "a message of a megabyte", pickle.dumps(row(msg="x" * (MIB - 300)), 2), is_refused=False
    ),
    Hostile(
        "a message of wide characters", pickle.dumps(row(msg="😀" * 250_000), 2), is_refused=False
    ),
    Hostile("a message of NUL", pickle.dumps(row(msg="\0" * (MIB - 300)), 2), is_refused=False),
    Hostile(
        "threadname, cat, cfunc of 300 kB each",
        pickle.dumps(row(threadname="t" * 300_000, cat="c" * 300_000, cfunc="f" * 300_000), 2),
        is_refused=False,
    ),
]

TRUNCATED = [
    Hostile(f"{name} cut after {cut} bytes", whole[:cut])
    for name, whole in (
        ("an 11-tuple", pickle.dumps(row(special={"a": 1, "b": "x" * 300}), 4)),
        ("an 11-tuple of protocol 0", pickle.dumps(row(special={"a": 1}), 0)),
        ("a LogRecord", pickle.dumps({"msg": "m" * 300, "created": 1.0, "name": "n"}, 1)),
        ("a batch", batch(specials=((0, "a", 1),))),
        ("JSON", _json(row(special={"a": 1}))),
        (
            "MessagePack",
            b"\x9b\x01\x02\x03\xa1t\xcb" + NOW + b"\xa1m\xa1E\x90\x05\xa1f\x81\xa1a\x01",
        ),
    )
    for cut in range(1, len(whole), max(1, len(whole) // 12))
]

HOSTILE: list[Hostile] = [
    *CODE,
    *MEMO,
    *DEPTH,
    *EXPANSION,
    *DIFFERENT,
    *UNSAFE,
    *FLOODS,
    *NUMBERS,
    *SHAPES,
    *STRINGS,
    *TRUNCATED,
]

# Objects in a record are not refused, as honest applications log dates and enums; they become text
# and are never made, whatever they are. `exec` would end the process with status 66.

STRANGERS: list[tuple[str, bytes]] = [
    ("HTTP GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("HTTP POST", b"POST /api HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("TLS 1.2 hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    ("SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    ("syslog", b"<34>1 2026-01-01T00:00:00Z host app - - - hello\n"),
    ("JSON lines", b'{"msg": "hello"}\n'),
    ("a JSON array", b'["hello"]\n'),
    ("PROXY", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"),
    ("four blank lines", b"\r\n\r\n"),
    ("SMTP", b"EHLO localhost\r\n"),
    ("Redis", b"*1\r\n$4\r\nPING\r\n"),
    ("all ones", b"\xff" * 64),
    ("a length just over the limit", struct.pack(">I", MIB + 1)),
]
"""(name, first bytes of a connection): each is over the limit when it is read as a length."""

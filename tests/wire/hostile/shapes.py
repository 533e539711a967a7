"""Frames with values and shapes that no record has, and frames that end too early."""

from __future__ import annotations

import pickle
import struct

from tests.wire.hostile.making import (
    MIB,
    NOW,
    ROW,
    Hostile,
    as_json,
    batch,
    counted4,
    log_record,
    row,
    text,
    with_msg,
    with_special,
)

NUMBERS = [
    Hostile("LONG4 of a megabyte", b"\x8b" + counted4(b"\x7f" * (MIB - 300)) + b"."),
    Hostile("LONG4 of -1 bytes", b"\x8b\xff\xff\xff\xff."),
    Hostile(
        "LONG4 in a record",
        with_special(b"}" + text("a") + b"\x8b" + counted4(b"\x7f" * 60_000) + b"s"),
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
    Hostile("JSON: time 1e999", as_json(row()).replace(b"1700000000.0", b"1e999")),
    Hostile("JSON: time NaN", as_json(row(ts=float("nan")))),
    Hostile("JSON: time Infinity with a surrogate", as_json(row(ts=float("inf"), msg="\ud800"))),
    Hostile("JSON: an integer of a million digits", b"[" + b"9" * (MIB - 300) + b"]"),
    Hostile(
        "JSON: an integer of 4,000 digits as pid",
        as_json(row()).replace(b"[1, 2,", b"[1, " + b"9" * 4000 + b",", 1),
    ),
    Hostile(
        "JSON: an integer of a million digits with a surrogate",
        b'["\\ud800",' + b"9" * (MIB - 300) + b"]",
    ),
    Hostile(
        "JSON: a float of a million digits",
        as_json(row()).replace(b"1700000000.0", b"1." + b"9" * 1_000_000),
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
    Hostile("JSON: 10 items", as_json(ROW[:10])),
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
        with_msg(b"T" + counted4(b"\xff" * 1_000_000)),
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
        ("JSON", as_json(row(special={"a": 1}))),
        (
            "MessagePack",
            b"\x9b\x01\x02\x03\xa1t\xcb" + NOW + b"\xa1m\xa1E\x90\x05\xa1f\x81\xa1a\x01",
        ),
    )
    for cut in range(1, len(whole), max(1, len(whole) // 12))
]

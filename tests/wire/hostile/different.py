"""Frames with more different things than any program has, and floods of one thing."""

from __future__ import annotations

import pickle
import struct

import msgspec

from tests.wire.hostile.making import (
    MIB,
    NOW,
    Hostile,
    as_json,
    batch,
    blanks,
    many,
    row,
    row_numbers,
    same_hash_keys,
    text,
    with_path,
    with_special,
)

# What is dear of a record, all at once: another context and path, time, number, unsafe text and
# items for each.
_DAYS = [1.7e9 + 86_461.0 * n for n in range(8_192)]


DIFFERENT = [
    Hostile(
        "4,900 records that differ in all",
        batch(
            count=4_900,
            contexts=tuple((n, 2, "t", "E", ((str(n), 1),), 0, "f") for n in range(4_900)),
            index=row_numbers(range(4_900)),
            msgids=bytes(8 * 4_900),
            times=struct.pack(">4900d", *_DAYS[:4_900]),
            msgs="\0".join([f"\x1b\n{n}" for n in range(4_900)]),
            specials=tuple((n, f"k{n}", f"\x1b{n}") for n in range(4_900)),
        ),
        is_refused=False,
    ),
    Hostile(
        "8,192 contexts of unsafe names",
        blanks(
            8_192,
            contexts=tuple(
                (n, 2, f"\x1b{n:06}{'t' * 40}", "\u2028", (), 0, "\x1bf") for n in range(8_192)
            ),
            index=row_numbers(range(8_192)),
        ),
        is_refused=False,
    ),
    Hostile(
        "700 contexts of one path of 60 levels",
        blanks(
            8_192,
            contexts=tuple(
                (n, 2, "t", "E", _PATH, 0, "f")
                for _PATH in [tuple(("x" * 20, n) for n in range(60))]
                for n in range(700)
            ),
            index=row_numbers(n % 700 for n in range(8_192)),
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
        blanks(
            8_192,
            specials=tuple((n, "k", _ESCAPES) for _ESCAPES in ["\x1b" * 512] for n in range(8_192)),
        ),
        is_refused=False,
    ),
    Hostile(
        "20 small items for each of 1,200 rows",
        blanks(
            1_200,
            specials=tuple(
                (n, *[part for key in range(20) for part in (f"{key:x}", key)])
                for n in range(1_200)
            ),
        ),
        is_refused=False,
    ),
    Hostile(
        "10 floats for each of 2,300 rows",
        blanks(
            2_300,
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
    Hostile("empty tuples", b"(" + many(b")") + b"t."),
    Hostile("empty tuples as path", with_path(b"(" + many(b")", MIB - 300) + b"t")),
    Hostile("one-tuples", b"(" + many(b"N\x85") + b"t."),
    Hostile(
        "one-tuples in a session",
        b"(" + text("batch") + b"K\x01K\x01(" + many(b"N\x85", MIB - 300) + b"tt.",
    ),
    Hostile("one-tuples, memoized", b"(" + many(b"N\x85\x94") + b"t."),
    Hostile("two-tuples as path", with_path(b"(" + many(b"NN\x86", MIB - 300) + b"t")),
    Hostile("three-tuples", b"(" + many(b"NNN\x87") + b"t."),
    Hostile("marks and tuples", b"(" + many(b"(Nt") + b"t."),
    Hostile("empty lists", b"(" + many(b"]") + b"t."),
    Hostile("empty lists in a list", b"](" + many(b"]") + b"e."),
    Hostile("empty dicts", b"(" + many(b"}") + b"t."),
    Hostile(
        "empty dicts as special",
        with_special(b"}" + text("a") + b"(" + many(b"}", MIB - 300) + b"ts"),
    ),
    Hostile("dicts of one item", b"(" + many(b"}" + text("") + b"Ns") + b"t."),
    Hostile("a flood of None", b"(" + many(b"N") + b"t."),
    Hostile("small texts", b"(" + many(b"\x8c\x02ab") + b"t."),
    Hostile("wide texts", b"(" + many(b"\x8c\x03\xe2\x82\xac") + b"t."),
    Hostile("small bytes", b"(" + many(b"C\x02ab") + b"t."),
    Hostile("texts of Python 2", b"(" + many(b"U\x02ab") + b"t."),
    Hostile("texts of protocol 0", b"(" + many(b"S'ab'\n") + b"t."),
    Hostile("unicode of protocol 0", b"(" + many(b"Vab\n") + b"t."),
    Hostile("integers", b"(" + many(b"M\x01\x02") + b"t."),
    Hostile("long integers", b"(" + many(b"\x8a\x01\x80") + b"t."),
    Hostile("integers as text", b"(" + many(b"I300\n") + b"t."),
    Hostile("floats", b"(" + many(b"G" + NOW) + b"t."),
    Hostile("floats as text", b"(" + many(b"F1.5\n") + b"t."),
    Hostile("bools", b"(" + many(b"\x88\x89") + b"t."),
    Hostile("PROTO", many(b"\x80\x04") + b"N."),
    Hostile(
        "keys of a LogRecord",
        b"}q\x00(" + b"".join(text(f"{n:x}") + b"N" for n in range(95_000)) + b"u.",
    ),
    Hostile("one key over and over", b"}q\x00(" + many(text("a") + b"N") + b"u."),
    Hostile(
        "keys of special",
        with_special(b"}(" + b"".join(text(f"{n:x}") + b"N" for n in range(60_000)) + b"u"),
    ),
    Hostile(
        "300 keys of special",
        with_special(b"}(" + b"".join(text(f"{n:x}") + b"N" for n in range(300)) + b"u"),
        is_refused=False,
    ),
    Hostile("integer keys of one hash", same_hash_keys(20_000) + b"."),
    Hostile(
        "integer keys of one hash in special",
        with_special(same_hash_keys(20_000)),
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
        b"(" + text("batch") + b"K\x01](" + many(b"(" + b"N" * 11 + b"t", MIB - 300) + b"et.",
    ),
    Hostile(
        "8,000 special rows",
        blanks(
            8_000,
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
        as_json(row(special={}))[:-3] + b'{"a":[' + b",".join([b"{}"] * 300_000) + b"]}]",
    ),
    Hostile(
        "JSON: keys of special",
        as_json(row(special={f"{n:x}": n for n in range(60_000)})),
        is_refused=False,
    ),
    Hostile("JSON: path", as_json(row(path=[[None, None]] * 60_000)), is_refused=False),
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

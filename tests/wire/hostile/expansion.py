"""Frames that are small on the wire and large once they are decoded or written."""

from __future__ import annotations

import pickle
import struct

from tests.wire.hostile.making import (
    MIB,
    NOW,
    Hostile,
    batch,
    blanks,
    counted4,
    doubled,
    log_record,
    row,
    row_numbers,
    text,
    with_msg,
    with_path,
    with_special,
)

EXPANSION = [
    Hostile("tuples shared 2**200 times", doubled(200, b"(", b"t") + b"."),
    Hostile("tuples shared 2**200 times as a key", b"}" + doubled(200, b"(", b"t") + b"Ns."),
    Hostile("tuples shared 2**200 times as msg", with_msg(doubled(200, b"(", b"t"))),
    Hostile("tuples shared 2**200 times as path", with_path(doubled(200, b"(", b"t"))),
    Hostile(
        "tuples shared 2**200 times in special",
        with_special(b"}" + text("a") + doubled(200, b"(", b"t") + b"s"),
    ),
    Hostile(
        "lists shared 2**200 times in special",
        with_special(b"}" + text("a") + doubled(200, b"(", b"l") + b"s"),
    ),
    Hostile(
        "lists shared 2**40 times in a LogRecord",
        log_record(text("a") + doubled(40, b"(", b"l").replace(b"q\x00", b"q\x01", 1)),
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
        blanks(
            8_000,
            contexts=tuple((n, 2, "t", "E", (("x" * 1000, 1),) * 16, 0, "f") for n in range(256)),
            index=bytes(n % 256 for n in range(8_000)),
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
        blanks(
            8_000,
            contexts=((1, 2, "t" * 100_000, "E" * 1000, (("x" * 1000, 1),) * 16, 0, "f" * 1000),),
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
        blanks(
            8_000,
            specials=tuple((n, "k", _LONG) for _LONG in ["x" * 200_000] for n in range(8_000)),
        ),
        is_refused=False,
    ),
    Hostile(
        "one value for the rows of 8,192 records",
        blanks(
            8_192,
            specials=((row_numbers(range(8_192)), "k", "x" * 800_000),),
        ),
        is_refused=False,
    ),
    Hostile(
        "256 items of 250 characters for the rows of 8,192 records",
        blanks(
            8_192,
            specials=(
                (
                    row_numbers(range(8_192)),
                    *[part for n in range(256) for part in (f"k{n}", "x" * 250)],
                ),
            ),
        ),
        is_refused=False,
    ),
    Hostile(
        "five long values for each of 4,096 pairs of rows",
        blanks(
            8_192,
            specials=tuple(
                (row_numbers((n, n + 4_096)), *_FLOOD)
                for _FLOOD in [tuple(str(n) * 32_000 for n in range(10))]
                for n in range(4_096)
            ),
        ),
        is_refused=False,
    ),
    Hostile(
        "8,192 rows of one row each",
        blanks(
            8_192,
            specials=tuple((row_numbers((n,)), "k", n) for n in range(8_192)),
        ),
        is_refused=False,
    ),
    Hostile(
        "rows of half a megabyte",
        batch(specials=((row_numbers(range(8_192)) * 20, "k", 1),)),
    ),
    Hostile(
        "rows without items over and over",
        blanks(
            8_192,
            specials=tuple((row_numbers(range(n, 8_192)),) for n in range(24)),
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
        + counted4(b"".join(struct.pack(">H", n) for n in range(8_000)))
        + b"K\x01B"
        + counted4(NOW * 8_000)
        + text("\0" * 7_999)
        + b")t.",
    ),
    Hostile(
        "8,000 contexts in use",
        blanks(
            8_000,
            contexts=tuple((n, 2, "t", "E", (), 0, "f") for n in range(8_000)),
            index=b"".join(struct.pack(">H", n) for n in range(8_000)),
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

"""Pickles that would run code, misuse the memo, or nest without end."""

from __future__ import annotations

import json
import pickle
import struct

from tests.wire.hostile.making import (
    MIB,
    NOW,
    Hostile,
    Runs,
    ShellCommand,
    as_json,
    batch,
    log_record,
    many,
    row,
    text,
    with_msg,
    with_path,
    with_special,
)

CODE = [
    Hostile("reduce: exec", pickle.dumps(Runs())),
    *[Hostile(f"reduce: exec, protocol {n}", pickle.dumps(Runs(), n)) for n in range(6)],
    Hostile("reduce: os.system", pickle.dumps(ShellCommand(), 4)),
    Hostile("reduce in a record", pickle.dumps(row(msg=Runs()), 2)),
    Hostile(
        "reduce in special items", pickle.dumps(row(special={"a": Runs()}), 4), is_refused=False
    ),
    Hostile(
        "reduce in a LogRecord",
        log_record(text("a") + b"cos\nsystem\n(" + text("id") + b"tR"),
        is_refused=False,
    ),
    Hostile("reduce in a batch", batch(specials=((0, "a", Runs()),)), is_refused=False),
    Hostile(
        "reduce as the message of a LogRecord",
        pickle.dumps({"msg": Runs(), "created": 1.0}, 1),
        is_refused=False,
    ),
    Hostile(
        "reduce as the time of a LogRecord",
        pickle.dumps({"msg": "m", "created": Runs()}, 1),
        is_refused=False,
    ),
    Hostile(
        "reduce as a key", with_special(b"}cos\nsystem\n(" + text("id") + b"tRNs"), is_refused=False
    ),
    Hostile("reduce as a call path", pickle.dumps(row(path=Runs()), 4)),
    Hostile("reduce of a text", with_special(b"}" + text("a") + text("os.system") + b")Rs")),
    Hostile(
        "a name of 300 characters",
        with_special(b"}" + text("a") + b"c" + b"m" * 300 + b"\nn\ns"),
        is_refused=False,
    ),
    Hostile("a flood of names", b"(" + many(b"ca\nb\n") + b"t."),
    Hostile("a flood of calls", b"(cos\nsystem\n" + many(b")R") + b"t."),
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
    Hostile("floods of FRAME", many(b"\x95\x00\x00\x00\x00\x00\x00\x00\x00") + b"N."),
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
    Hostile("MEMOIZE flood", b"N" + many(b"\x94") + b"."),
    Hostile("BINGET flood", b"(" + text("x" * 200) + b"q\x00" + many(b"h\x00") + b"t."),
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
    Hostile("nested lists", many(b"]") + many(b"a", 1000) + b"."),
    Hostile("nested lists, complete", b"]" * 500_000 + b"a" * 499_999 + b"."),
    Hostile("nested lists, protocol 0", b"(" * 500_000 + b"l" * 500_000 + b"."),
    Hostile("nested tuples, protocol 0", b"(" * 500_000 + b"t" * 500_000 + b"."),
    Hostile("nested dicts", many(b"}K\x01") + b"."),
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
        as_json(row(special={}))[:-3] + b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    ),
    Hostile("JSON: nested with a surrogate", b'["\\ud800",' + b"[" * 500_000),
    Hostile("MessagePack: nested arrays", b"\x91" * (MIB - 200)),
    Hostile("MessagePack: nested maps", b"\x9b" + b"\x81\xa1a" * 300_000),
]

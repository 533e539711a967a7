"""Frames that try to harm a daemon, as a table: name, payload, whether it must be refused.

None of them may run code, end the process, or cost more than 64 MiB or 100 ms. Rows that need not
be refused are odd but harmless; what matters for them is the cost. The table is pure data: tests
of the decoder measure each row in a process of its own, tests of the daemon send each to it.
"""

from __future__ import annotations

import struct

from tests.wire.hostile.different import DIFFERENT, FLOODS, UNSAFE
from tests.wire.hostile.expansion import EXPANSION
from tests.wire.hostile.making import MIB, Hostile
from tests.wire.hostile.pickled import CODE, DEPTH, MEMO
from tests.wire.hostile.shapes import NUMBERS, SHAPES, STRINGS, TRUNCATED

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

"""Bytes of the session protocol beside what they mean; both sides are tested with them.

The tests of the client check that its encoder makes these bytes, the tests of the daemon that its
decoder takes them and yields these values. The protocol is described in `logd_client/session.py`.
The daemon's tests load this file by its path: it needs nothing but the standard library.
"""

from __future__ import annotations

import struct
from typing import Any

CLIENT_ID = b"0123456789abcdef"
CONTEXT = (
    4711,
    140000,
    "MainThread",
    "E",
    (("/app/views.py", 42), ("/app/urls.py", 10)),
    12,
    "charge",
)
PLAIN_CONTEXT = (4711, 140000, "MainThread", "", ((None, None),), 0, "")


def _doubles(*values: float) -> bytes:
    return struct.pack(f">{len(values)}d", *values)


WIRE_EXAMPLES: list[tuple[str, Any, bytes]] = [
    (
        "opening",
        ("logd", 1, CLIENT_ID, 1, None),
        (
            b"\x00\x00\x00.\x80\x04\x95#\x00\x00\x00\x00\x00\x00\x00(\x8c\x04lo"
            b"gd\x94K\x01C\x100123456789abc"
            b"def\x94K\x01Nt\x94."
        ),
    ),
    (
        "opening with a token and held records",
        ("logd", 1, CLIENT_ID, 70000, "sécret"),
        (
            b"\x00\x00\x00:\x80\x04\x95/\x00\x00\x00\x00\x00\x00\x00(\x8c\x04lo"
            b"gd\x94K\x01C\x100123456789abc"
            b"def\x94Jp\x11\x01\x00\x8c\x07s\xc3\xa9cret\x94t"
            b"\x94."
        ),
    ),
    (
        "one record",
        ("batch", 1, 1, (CONTEXT,), b"", 17, b"A\xdaH\\\xf0\x08\x00\x00", "payment failed", ()),
        (
            b"\x00\x00\x00\x8f\x80\x04\x95\x84\x00\x00\x00\x00\x00\x00\x00(\x8c\x05ba"
            b'tch\x94K\x01K\x01(Mg\x12J\xe0"\x02\x00\x8c\nM'
            b"ainThread\x94\x8c\x01E\x94\x8c\r/app"
            b"/views.py\x94K*\x86\x94\x8c\x0c/app"
            b"/urls.py\x94K\n\x86\x94\x86\x94K\x0c\x8c\x06c"
            b"harge\x94t\x94\x85\x94C\x00\x94K\x11C\x08A\xdaH"
            b"\\\xf0\x08\x00\x00\x94\x8c\x0epayment fail"
            b"ed\x94)t\x94."
        ),
    ),
    (
        "special items of all types",
        (
            "batch",
            2,
            3,
            (CONTEXT,),
            b"",
            18,
            b"?\xf0\x00\x00\x00\x00\x00\x00@\x00\x00\x00\x00\x00\x00\x00@\x0c\x00\x00\x00\x00\x00\x00",
            "a\x00b\x00c",
            ((0, "user", "ann", "n", 3), (2, "f", 0.5, "t", True, "none", None)),
        ),
        (
            b"\x00\x00\x00\xce\x80\x04\x95\xc3\x00\x00\x00\x00\x00\x00\x00(\x8c\x05ba"
            b'tch\x94K\x02K\x03(Mg\x12J\xe0"\x02\x00\x8c\nM'
            b"ainThread\x94\x8c\x01E\x94\x8c\r/app"
            b"/views.py\x94K*\x86\x94\x8c\x0c/app"
            b"/urls.py\x94K\n\x86\x94\x86\x94K\x0c\x8c\x06c"
            b"harge\x94t\x94\x85\x94C\x00\x94K\x12C\x18?\xf0\x00"
            b"\x00\x00\x00\x00\x00@\x00\x00\x00\x00\x00\x00\x00@\x0c\x00\x00\x00\x00\x00"
            b"\x00\x94\x8c\x05a\x00b\x00c\x94(K\x00\x8c\x04user\x94"
            b"\x8c\x03ann\x94\x8c\x01n\x94K\x03t\x94(K\x02\x8c\x01f"
            b"\x94G?\xe0\x00\x00\x00\x00\x00\x00\x8c\x01t\x94\x88\x8c\x04non"
            b"e\x94Nt\x94\x86\x94t\x94."
        ),
    ),
    (
        "two contexts, ids out of order",
        (
            "batch",
            5,
            3,
            (CONTEXT, PLAIN_CONTEXT),
            b"\x00\x01\x00",
            b"\x00\x00\x00\x00\x00\x00\x00\t\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\n",
            b"?\xf0\x00\x00\x00\x00\x00\x00?\xf8\x00\x00\x00\x00\x00\x00@\x00\x00\x00\x00\x00\x00\x00",
            "x\x00\x00z",
            (),
        ),
        (
            b"\x00\x00\x00\xcb\x80\x04\x95\xc0\x00\x00\x00\x00\x00\x00\x00(\x8c\x05ba"
            b'tch\x94K\x05K\x03(Mg\x12J\xe0"\x02\x00\x8c\nM'
            b"ainThread\x94\x8c\x01E\x94\x8c\r/app"
            b"/views.py\x94K*\x86\x94\x8c\x0c/app"
            b"/urls.py\x94K\n\x86\x94\x86\x94K\x0c\x8c\x06c"
            b'harge\x94t\x94(Mg\x12J\xe0"\x02\x00h\x01\x8c'
            b"\x00\x94NN\x86\x94\x85\x94K\x00h\nt\x94\x86\x94C\x03\x00\x01"
            b"\x00\x94C\x18\x00\x00\x00\x00\x00\x00\x00\t\x00\x00\x00\x00\x00\x00\x00\x08"
            b"\x00\x00\x00\x00\x00\x00\x00\n\x94C\x18?\xf0\x00\x00\x00\x00\x00\x00?"
            b"\xf8\x00\x00\x00\x00\x00\x00@\x00\x00\x00\x00\x00\x00\x00\x94\x8c\x04x\x00"
            b"\x00z\x94)t\x94."
        ),
    ),
    (
        "a NUL in a message",
        (
            "batch",
            8,
            2,
            (PLAIN_CONTEXT,),
            b"",
            1,
            b"?\xf0\x00\x00\x00\x00\x00\x00@\x00\x00\x00\x00\x00\x00\x00",
            ("a\x00b", "c"),
            (),
        ),
        (
            b"\x00\x00\x00g\x80\x04\x95\\\x00\x00\x00\x00\x00\x00\x00(\x8c\x05ba"
            b'tch\x94K\x08K\x02(Mg\x12J\xe0"\x02\x00\x8c\nM'
            b"ainThread\x94\x8c\x00\x94NN\x86\x94\x85\x94K"
            b"\x00h\x02t\x94\x85\x94C\x00\x94K\x01C\x10?\xf0\x00\x00\x00\x00"
            b"\x00\x00@\x00\x00\x00\x00\x00\x00\x00\x94\x8c\x03a\x00b\x94\x8c\x01c"
            b"\x94\x86\x94)t\x94."
        ),
    ),
    (
        "surrogates and wide characters",
        (
            "batch",
            10,
            1,
            (PLAIN_CONTEXT,),
            b"",
            3,
            b"?\xf0\x00\x00\x00\x00\x00\x00",
            "\udc80 😀 €\n",
            (),
        ),
        (
            b"\x00\x00\x00c\x80\x04\x95X\x00\x00\x00\x00\x00\x00\x00(\x8c\x05ba"
            b'tch\x94K\nK\x01(Mg\x12J\xe0"\x02\x00\x8c\nM'
            b"ainThread\x94\x8c\x00\x94NN\x86\x94\x85\x94K"
            b"\x00h\x02t\x94\x85\x94C\x00\x94K\x03C\x08?\xf0\x00\x00\x00\x00"
            b"\x00\x00\x94\x8c\r\xed\xb2\x80 \xf0\x9f\x98\x80 \xe2\x82\xac\n\x94)"
            b"t\x94."
        ),
    ),
    (
        "a lost records notice",
        (
            "batch",
            11,
            1,
            ((4711, 0, "logd_client", "I", (), 0, ""),),
            b"",
            0,
            b"A\xdaH\\\xf0\x00\x00\x00",
            "412 records lost by pid 4711 between 08:26:40 and 08:26:41",
            ((0, "lost", 412),),
        ),
        (
            b"\x00\x00\x00\x9a\x80\x04\x95\x8f\x00\x00\x00\x00\x00\x00\x00(\x8c\x05ba"
            b"tch\x94K\x0bK\x01(Mg\x12K\x00\x8c\x0blogd"
            b"_client\x94\x8c\x01I\x94)K\x00\x8c\x00\x94t\x94"
            b"\x85\x94C\x00\x94K\x00C\x08A\xdaH\\\xf0\x00\x00\x00\x94\x8c:"
            b"412 records lost by "
            b"pid 4711 between 08:"
            b"26:40 and 08:26:41\x94K"
            b"\x00\x8c\x04lost\x94M\x9c\x01\x87\x94\x85\x94t\x94."
        ),
    ),
    (
        "records that share their items",
        (
            "batch",
            20,
            5,
            (PLAIN_CONTEXT,),
            b"",
            1,
            b"?\xf0\x00\x00\x00\x00\x00\x00@\x00\x00\x00\x00\x00\x00\x00@\x08\x00\x00\x00\x00\x00\x00@\x10\x00\x00\x00\x00\x00\x00@\x14\x00\x00\x00\x00\x00\x00",
            "a\x00b\x00c\x00d\x00e",
            ((b"\x00\x00\x00\x01\x00\x04", "logger", "shop"), (3, "logger", "shop.pay")),
        ),
        (
            b"\x00\x00\x00\xac\x80\x04\x95\xa1\x00\x00\x00\x00\x00\x00\x00(\x8c\x05ba"
            b'tch\x94K\x14K\x05(Mg\x12J\xe0"\x02\x00\x8c\nM'
            b"ainThread\x94\x8c\x00\x94NN\x86\x94\x85\x94K"
            b"\x00h\x02t\x94\x85\x94C\x00\x94K\x01C(?\xf0\x00\x00\x00\x00"
            b"\x00\x00@\x00\x00\x00\x00\x00\x00\x00@\x08\x00\x00\x00\x00\x00\x00@\x10"
            b"\x00\x00\x00\x00\x00\x00@\x14\x00\x00\x00\x00\x00\x00\x94\x8c\ta\x00b"
            b"\x00c\x00d\x00e\x94C\x06\x00\x00\x00\x01\x00\x04\x94\x8c\x06lo"
            b"gger\x94\x8c\x04shop\x94\x87\x94K\x03h\x0b\x8c\x08"
            b"shop.pay\x94\x87\x94\x86\x94t\x94."
        ),
    ),
]
"""(name, value that the payload means, frame). Openings and batches from the client."""

LARGE_WIRE_EXAMPLES: list[tuple[str, Any, int, str]] = [
    (
        "300 contexts",
        (
            "batch",
            12,
            300,
            tuple([(1, n, "t", "D", (), 0, "") for n in range(300)]),
            b"".join([struct.pack(">H", n) for n in range(300)]),
            1,
            struct.pack(">300d", *range(300)),
            "\0" * 299,
            (),
        ),
        8204,
        "3e3cd032a3b070c97edc926504e1a4d6b3b3bbe94a81c75c8320e6ff71896da9",
    ),
    (
        "messages of 70,000 bytes, beyond one pickle stretch",
        ("batch", 312, 1, (CONTEXT,), b"", 1, struct.pack(">d", 1.0), "y" * 70000, ()),
        70146,
        "fc76bb3099cd4d69ec72d4b72d7fa404a3a9125ff3ea2809d26d7313bb7dbfdd",
    ),
]
"""(name, value, length of the frame, its SHA-256): too long to be written out.

`pickle.dumps(value, protocol=4)` of CPython makes the payload."""

ANSWER_EXAMPLES: list[tuple[str, int, bytes]] = [
    ("nothing known of the session", 0, b"\x00\x00\x00\x08" + bytes(8)),
    ("stored up to 1", 1, b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01"),
    (
        "stored up to 10**12",
        10**12,
        b"\x00\x00\x00\x08\x00\x00\x00\xe8\xd4\xa5\x10\x00",
    ),
    (
        "refused: token missing or wrong",
        2**63 + 2,
        b"\x00\x00\x00\x08\x80\x00\x00\x00\x00\x00\x00\x02",
    ),
    (
        "refused: the server is stopping",
        2**63 + 6,
        b"\x00\x00\x00\x08\x80\x00\x00\x00\x00\x00\x00\x06",
    ),
]
"""(name, number, the server's bytes)."""

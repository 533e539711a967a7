"""How much of each field is kept. What is longer is cut, and the cut is visible.

With these limits what a frame becomes when it is written stays a small multiple of the frame.
Without them a pickle could name one long string over and over, for two bytes each time.
"""

from __future__ import annotations

from typing import Final

MAX_ROWS: Final = 65_536
"""Records that are put together to one batch when each came in a frame of its own."""

MAX_FRAME_ROWS: Final = 8_192
"""Records of a batch in columns; no client sends more. The dearest records (each with another
time, context, special item) cost some microseconds each until they are written, and one frame
shall not cost more than 100 ms."""

MAX_SIMPLE_ROWS: Final = 4_096
"""Records of a simple sender's batch: each costs twice as much if it is not in columns."""

MAX_TIME: Final = 253_402_300_800.0
"""Seconds since the epoch of the year 10000, which `datetime` can't hold."""

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
"""What a database column, a struct and MessagePack hold."""

MAX_NAME_CHARS: Final = 256
"""Thread name, calling function. File systems end names at 255 bytes, people far earlier."""

MAX_CAT_CHARS: Final = 64
"""Category; the documented ones have one character."""

MAX_FILE_CHARS: Final = 1024
"""One file name of a call path."""

MAX_PATH_CHARS: Final = 16_384
"""A whole call path: 200 levels of 80 characters."""

MAX_SPECIAL_ITEMS: Final = 256
MAX_KEY_CHARS: Final = 128
MAX_VALUE_CHARS: Final = 32_768
MAX_SPECIAL_CHARS: Final = 131_072
"""Special items of one record: number, length of a key, of a value, and of all together."""

MAX_ESCAPED_BYTES: Final = 131_072
"""A byte string that is not UTF-8; a valid one may be as long as its frame."""

MAX_BATCH_OPCODES: Final = 300_000
"""Pickle opcodes of a session's batch, 30 ms. A client's has at most 50,000 texts and tuples,
each with no more than five opcodes: a level of a call path, a key or value of an item."""

MAX_ROW_OPCODES: Final = 30_000
"""Pickle opcodes of a single record: a call path of 5,000 levels."""

EXPANSION: Final = 16
EXPANSION_CHARS: Final = 4_096
"""A frame's records may be written as this many characters for each of its bytes, and this many
besides. What honest ones share are call paths, names and some items: these have more room."""

MAX_BATCH_CONTEXT_CHARS: Final = 4 << 20
RECORD_CONTEXT_CHARS: Final = 4_096
MAX_BATCH_ITEM_CHARS: Final = 2 << 20
RECORD_ITEM_CHARS: Final = 2_048
"""Contexts and items of a session's batch may have this many characters, and this many for each
record, besides. A message of five characters that was logged 40 levels deep is 10 bytes in its
frame and 3,200 in the log: no multiple of the frame that honest records need would be a bound. So
this bounds the single frame, to some 60 ms; `MAX_DECODED_CHARS` bounds what is decoded at a time,
and what it costs counts for its sender."""

MAX_DECODED_CHARS: Final = 4 << 20
"""Decoding stops after the frame whose records bring the text of all to this; the rest waits."""

MESSAGES_PER_FRAME_BYTE: Final = 2
"""How much of that is for messages, which honest records do not share."""

CHARS_OF_AN_ESCAPE: Final = 6
r"""What a character may be written as: `\u202e`."""


def written_chars(text: str) -> int:
    """About how many characters a text is written as at most."""
    if text.isascii() and text.isprintable():
        return len(text)
    return CHARS_OF_AN_ESCAPE * len(text)


def cut(text: str, limit: int) -> str:
    """The text, or its first `limit` characters and a text that says how many are missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}[... {len(text) - limit} more]"

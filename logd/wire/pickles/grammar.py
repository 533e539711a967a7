r"""Proves with regular expressions that a pickle is harmless, before C code runs it.

A pickle is a program. The C unpickler is fast and, for most programs, unsafe: a memo index of
2**28 makes it allocate gigabytes, a deep structure used as a key overflows the C stack. But two
small grammars cover nearly all that senders of logs send, and whatever matches them can't do harm:

- *tree*: strings, bytes, numbers, None and tuples, and if asked for one dict of literals.
  There is no list and no way to put a container into a dict, so nothing hashes deeply and nothing
  can contain itself. Sessions and 11-tuples are trees.
- *flat*: one dict of literals, the attributes of a `LogRecord` as `SocketHandler` sends them.

Both bound the memo (two-byte indexes) and the integers (nine bytes or twenty digits). The densest
program left is a flood of one-tuples, 32 times its size in memory; a tuple directly around a
one-tuple would be twice that and is not in the grammar. Everything else, legitimate or not, is
for the slow machine in `machine.py`.

How a regular expression can parse length-prefixed strings: a string of up to 255 bytes is one of
256 alternatives, "length n, then n bytes of anything", in ascending order as short ones are the
most frequent. Only at a longer string the expression stops; Python code jumps over it and lets
the expression go on. All repetitions are possessive (`*+`): after any byte there is one way to go
on, so there is nothing to come back to and the cost is linear. Measured: 1 us for the 44 opcodes
of a `SocketHandler` record, 30 us for a batch of 2,000 records with 50 call paths.

FRAME opcodes (protocol 4) are hints that no reader needs, and have been used to make the C
unpickler run other opcodes than a scanner saw. They are cut out: what the unpickler gets has none.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from logd.wire.errors import WireError

_MAX_ITEMS: Final = 300
"""Items of one dict: a `LogRecord` has 22, and no more than 256 others are kept."""

_MAX_KEY_LENGTH: Final = 64

_ZEROS = rb"\x00\x00\x00"
"""The upper bytes of a four-byte little-endian length below 256."""


def _counted(stop: int, padding: bytes = b"") -> bytes:
    """An alternation: for each n below `stop`, byte n, the padding, then n bytes of anything."""
    alternatives = (rb"\x%02x%b.{%d}" % (n, padding, n) for n in range(stop))
    return b"(?:" + b"|".join(alternatives) + b")"


class Pattern:
    """A regular expression that is compiled when it is needed first.

    All of them together take 30 ms to compile, a tenth of what the daemon may take to start, and
    most of that is for kinds of senders that never come.
    """

    def __init__(self, source: bytes) -> None:
        self._source = source

    @cached_property
    def compiled(self) -> re.Pattern[bytes]:
        return re.compile(self._source, re.DOTALL)


# X BINUNICODE, \x8c SHORT_BINUNICODE, U SHORT_BINSTRING (text of Python 2).
_UNICODE = b"X" + _counted(256, _ZEROS)
_SHORT_UNICODE = rb"\x8c" + _counted(256)
_STRING_2 = b"U" + _counted(256)
_SHORT_BYTES = b"C" + _counted(256)
_KEY_UNICODE = b"X" + _counted(_MAX_KEY_LENGTH, _ZEROS)
_KEY_SHORT_UNICODE = rb"\x8c" + _counted(_MAX_KEY_LENGTH)
_KEY_STRING_2 = b"U" + _counted(_MAX_KEY_LENGTH)

# NONE, BININT1, BINFLOAT, BININT2, BININT, NEWTRUE and NEWFALSE, INT and LONG as text, LONG1.
_NUMBER = (
    rb"N|K.|G.{8}|M..|J.{4}|[\x88\x89]|[LI]-?[0-9]{1,20}L?\n|\x8a(?:"
    + b"|".join(rb"\x%02x.{%d}" % (n, n) for n in range(10))
    + b")"
)

# BINPUT, MEMOIZE, LONG_BINPUT; indexes under 2**16, as the C unpickler's memo is an array.
_PUT = rb"(?:q.|\x94|r..\x00\x00)"
# BINGET, LONG_BINGET
_GET = rb"h.|j..\x00\x00"

# MARK, EMPTY_TUPLE, TUPLE, TUPLE2 and TUPLE3, TUPLE1 not around a TUPLE1.
_TUPLE = rb"[()t\x86\x87]|\x85(?!\x85)"

_STRETCH_OPCODES: Final = 2000
"""Most opcodes that one match of `_TREE` covers: that is how they are counted."""

_TREE = Pattern(
    rb"(?:%b|%b|\x94|%b|%b|%b|%b|%b){0,%d}+"
    % (_SHORT_UNICODE, _NUMBER, _TUPLE, _GET, _UNICODE, _PUT, _SHORT_BYTES, _STRETCH_OPCODES)
)
# EMPTY_DICT, then MARK, items, SETITEMS, or one item and SETITEM, or nothing.
_LITERAL_DICT = Pattern(
    rb"\}%b?+(?:(\()?+(?:(?:%b|%b)%b?+(?:%b|%b|%b)%b?+){1,%d}+(?(1)u|s))?+"
    % (
        _PUT,
        _KEY_SHORT_UNICODE,
        _KEY_UNICODE,
        _PUT,
        _SHORT_UNICODE,
        _UNICODE,
        _NUMBER,
        _PUT,
        _MAX_ITEMS,
    )
)

# A whole flat dict. It has memo index 0 (1 with Python 2's cPickle), and GET can't name these:
# the dict must not become a value of itself.
_FLAT_HEAD = Pattern(rb"(?:\x80[\x01-\x05])?+\}(?:q[\x00\x01]|\x94)\(")
_FLAT_KEY = rb"(?:%b|%b|%b)" % (_KEY_UNICODE, _KEY_STRING_2, _KEY_SHORT_UNICODE)
_FLAT_VALUE = rb"(?:%b|%b|%b|%b|h[\x02-\xff])" % (_UNICODE, _NUMBER, _STRING_2, _SHORT_UNICODE)
_FLAT = Pattern(rb"(?:%b%b?+%b%b?+){0,%d}+" % (_FLAT_KEY, _PUT, _FLAT_VALUE, _PUT, _MAX_ITEMS))
# A key whose value is a string of four-byte length: BINUNICODE, or BINSTRING from Python 2.
_FLAT_LONG = Pattern(rb"%b%b?+[XT](?=.{4})" % (_FLAT_KEY, _PUT))
_MAYBE_PUT = Pattern(_PUT + b"?+")
_MAX_LONG_VALUES: Final = 32

# Items as `SocketHandler` of Python 3 sends them; what a GET names is looked at in `constants.py`.
TEMPLATE_ITEM = Pattern(
    rb"(%b)q(.)(?:(%b)|%b|h([\x01-\xff]))(?:q(.))?+" % (_KEY_UNICODE, _UNICODE, _NUMBER)
)

# The application's own items at the end of such a frame. Without MEMOIZE: what index that means
# depends on what stands before. A GET never names the dict, whose index is 0.
_EXTRA_PUT = rb"(?:q.|r..\x00\x00)"
_EXTRA_GET = rb"(?:h[\x01-\xff]|j.[^\x00]\x00\x00)"
_EXTRA_KEY = b"%b%b?+" % (_KEY_UNICODE, _EXTRA_PUT)
_EXTRA_VALUE = b"(?:%b|%b)%b?+" % (_UNICODE, _NUMBER, _EXTRA_PUT)
_EXTRAS = Pattern(b"(?:%b%b){0,%d}+" % (_EXTRA_KEY, _EXTRA_VALUE, _MAX_ITEMS))
_EXTRAS_LONG = Pattern(rb"%bX(?=.{4})" % _EXTRA_KEY)
# The same if keys and values may be fetched from the memo.
_NAMED_KEY = b"(?:%b|%b)" % (_EXTRA_KEY, _EXTRA_GET)
_NAMED_VALUE = b"(?:%b|%b)" % (_EXTRA_VALUE, _EXTRA_GET)
_NAMED_EXTRAS = Pattern(b"(?:%b%b){0,%d}+" % (_NAMED_KEY, _NAMED_VALUE, _MAX_ITEMS))
_NAMED_EXTRAS_LONG = Pattern(rb"%bX(?=.{4})" % _NAMED_KEY)

# Strings to jump over in a tree, BINUNICODE and BINBYTES, and how many bytes their length takes.
# A jump costs what sixteen opcodes cost.
_JUMPS: Final = (b"X", b"B")
_JUMP_BYTES: Final = 4
_JUMP_OPCODES: Final = 16
_PROTOCOL_4: Final = (b"\x80\x04", b"\x80\x05")


def proven_tree(payload: bytes, *, max_opcodes: int, dicts: int = 0) -> bytes | None:
    """The pickle without FRAME opcodes if it is a tree, None if it is not.

    Args:
        payload: a pickle.
        max_opcodes: how long a program may be, in opcodes; counted roughly, never too low.
        dicts: how many dicts of literals it may hold.

    Raises:
        WireError: the program is longer than `max_opcodes`.
    """
    size = len(payload)
    pieces: list[bytes] = []
    piece = 0
    # PROTO is of no use to the unpickler either.
    at = 2 if payload[:1] == b"\x80" and payload[1:2] <= b"\x05" else 0
    while max_opcodes > 0:
        start = at
        at = _past(_TREE, payload, start)
        max_opcodes -= min(at - start, _STRETCH_OPCODES)
        code = payload[at : at + 1]
        if code == b".":
            if at + 1 != size:
                return None
            pieces.append(payload[piece:])
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if code in _JUMPS:
            max_opcodes -= _JUMP_OPCODES
            at += 1 + _JUMP_BYTES
            at += int.from_bytes(payload[at - _JUMP_BYTES : at], "little")
            if at >= size:
                return None
        elif code == b"\x95":
            max_opcodes -= _JUMP_OPCODES
            pieces.append(payload[piece:at])
            at += 9
            piece = at
        elif code == b"}" and dicts:
            dicts -= 1
            literals = _LITERAL_DICT.compiled.match(payload, at)
            if literals is None:
                return None
            at = literals.end()
        elif at - start < _STRETCH_OPCODES:
            # Not for lack of room: something that no tree has.
            return None
    raise WireError("pickle of too many opcodes")


def proven_flat(payload: bytes) -> bytes | None:
    """The pickle without FRAME opcodes if it is a flat dict, None if it is not."""
    if payload[:2] in _PROTOCOL_4 and payload[2:3] == b"\x95":
        payload = payload[11:]
    head = _FLAT_HEAD.compiled.match(payload)
    if head is None:
        return None
    return payload if _is_whole(payload, head.end(), _FLAT, _FLAT_LONG) else None


def are_extras(rest: bytes, *, may_fetch: bool = False) -> bool:
    """Whether the end of a frame is items of literals, with nothing that depends on the rest of it.

    Args:
        rest: the end of a flat dict.
        may_fetch: whether keys and values may be fetched from the memo.
    """
    if may_fetch:
        return _is_whole(rest, 0, _NAMED_EXTRAS, _NAMED_EXTRAS_LONG)
    return _is_whole(rest, 0, _EXTRAS, _EXTRAS_LONG)


def _is_whole(payload: bytes, at: int, items: Pattern, long_item: Pattern) -> bool:
    """Whether from `at` to the end there are items, and then the end of a dict."""
    size = len(payload)
    for _ in range(_MAX_LONG_VALUES):
        at = _past(items, payload, at)
        if payload.startswith(b"u.", at):
            return at + 2 == size
        long = long_item.compiled.match(payload, at)
        if long is None:
            return False
        at = long.end()
        at += 4 + int.from_bytes(payload[at : at + 4], "little")
        if at >= size:
            return False
        at = _past(_MAYBE_PUT, payload, at)
    return False


def _past(pattern: Pattern, payload: bytes, at: int) -> int:
    """Where what the pattern matches at `at` ends; `at` itself if nothing does."""
    match = pattern.compiled.match(payload, at)
    return at if match is None else match.end()

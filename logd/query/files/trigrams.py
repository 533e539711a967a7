"""Which blocks of a file surely lack a text: by the triples of letters that stand in each.

A text that is rare mostly has three letters in a row that are rare. Each block of an index has a
bit for each of the 26 * 26 * 26 triples, upper and lower case as one. Blocks of a log resemble each
other, so the bits of all of them compress well. Digits are left out: nearly all their triples occur
everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from logd.query.fields import TEXT
from logd.query.files.prefilter import unfolding_parts, ways_of
from logd.query.files.sidecar import BITS_BYTES
from logd.query.selection import Selection

_ALL = b"\xff" * BITS_BYTES
_MAX_WORDS = 10_000

# In JSON lines and logfmt texts have the same letters as in the default layout, but for those of
# other programs, which may write a letter as an escape of its code.
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")

_RUN = re.compile(rb"[a-z]{3,}")
_DIGITS = b"0123456789"


def _folded(code: int) -> int:
    if code == ord("\n"):
        return code
    return ord(chr(code).lower()) if chr(code).isascii() and chr(code).isalpha() else ord(" ")


_FOLD = bytes(map(_folded, range(256)))

Needed = Sequence[Sequence[frozenset[int]]]
"""Of each of these, all of one of its sets must be there."""


class TrigramMaker:
    """Makes the bits of blocks; words repeat, so they are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, frozenset[int]] = {}

    def bits(self, block: bytes) -> bytes:
        """The bits of a block."""
        if _ESCAPED_LETTER.search(block):
            return _ALL
        # Without digits most lines are the same; what they had parted is joined, which does no
        # harm: no triple is lost by it.
        lines = set(block.translate(_FOLD, _DIGITS).split(b"\n"))
        found: set[int] = set()
        for word in set(b" ".join(lines).split()):
            found |= self._of(word)
        bits = bytearray(BITS_BYTES)
        for number in found:
            bits[number >> 3] |= 1 << (number & 7)
        return bytes(bits)

    def _of(self, word: bytes) -> frozenset[int]:
        known = self._known.get(word)
        if known is None:
            if len(self._known) >= _MAX_WORDS:
                self._known.clear()
            known = self._known[word] = _triples(word)
        return known


def _triples(word: bytes) -> frozenset[int]:
    codes = [code - ord("a") for code in word]
    return frozenset(
        one * 676 + other * 26 + third
        for one, other, third in zip(codes, codes[1:], codes[2:], strict=False)
    )


def needed(selection: Selection) -> Needed:
    """The triples that a block must have for an entry to be wanted; none if that is not known."""
    found = [[_of_text(way) for way in ways] for ways in ways_of(selection)]
    for group in selection.groups:
        term = group.terms[0]
        if len(group.terms) == 1 and not group.is_not and term.field == TEXT:
            found += [[_of_text(part)] for part in unfolding_parts(term)]
    return [sets for sets in found if all(sets)]


def _of_text(text: bytes) -> frozenset[int]:
    return frozenset().union(*map(_triples, _RUN.findall(text.lower())))


def may_have(bits: bytes, wanted: Needed) -> bool:
    """False if a block with these bits surely has no entry that is wanted."""
    return all(any(_has(bits, numbers) for numbers in sets) for sets in wanted)


def _has(bits: bytes, numbers: Iterable[int]) -> bool:
    return all(bits[number >> 3] >> (number & 7) & 1 for number in numbers)

"""The characters that must not reach a terminal or a line as they are, from Unicode's tables.

`UNSAFE_RANGES` is the sum of the general categories Cc, Cf, Cs, Zl and Zp and of the properties
Bidi_Control and Default_Ignorable_Code_Point: what drives terminals, turns the direction of
writing, ends a line, has no encoding, or cannot be seen. A test compares it with the tables.

Two of these characters are needed inside of emoji: the zero width joiner between two emoji, and
variation selector 16 behind one. `JOINING` says where they stand as they should; only there are
they safe.

The ranges are written out, because Python's `unicodedata` does not know the properties, and
because text that was safe yesterday should not change with the interpreter.
"""

from __future__ import annotations

import sys

Ranges = tuple[tuple[int, int], ...]
"""First and last code of each range, in order."""

# fmt: off
UNSAFE_RANGES: Ranges = (
    (0x0, 0x1f), (0x7f, 0x9f), (0xad, 0xad), (0x34f, 0x34f), (0x600, 0x605), (0x61c, 0x61c),
    (0x6dd, 0x6dd), (0x70f, 0x70f), (0x890, 0x891), (0x8e2, 0x8e2), (0x115f, 0x1160),
    (0x17b4, 0x17b5), (0x180b, 0x180f), (0x200b, 0x200f), (0x2028, 0x202e), (0x2060, 0x206f),
    (0x3164, 0x3164), (0xd800, 0xdfff), (0xfe00, 0xfe0f), (0xfeff, 0xfeff), (0xffa0, 0xffa0),
    (0xfff0, 0xfffb), (0x110bd, 0x110bd), (0x110cd, 0x110cd), (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3), (0x1d173, 0x1d17a), (0xe0000, 0xe0fff),
)

PICTOGRAPHIC_RANGES: Ranges = (
    (0xa9, 0xa9), (0xae, 0xae), (0x203c, 0x203c), (0x2049, 0x2049), (0x2122, 0x2122),
    (0x2139, 0x2139), (0x2194, 0x2199), (0x21a9, 0x21aa), (0x231a, 0x231b), (0x2328, 0x2328),
    (0x2388, 0x2388), (0x23cf, 0x23cf), (0x23e9, 0x23f3), (0x23f8, 0x23fa), (0x24c2, 0x24c2),
    (0x25aa, 0x25ab), (0x25b6, 0x25b6), (0x25c0, 0x25c0), (0x25fb, 0x25fe), (0x2600, 0x2605),
    (0x2607, 0x2612), (0x2614, 0x2685), (0x2690, 0x2705), (0x2708, 0x2712), (0x2714, 0x2714),
    (0x2716, 0x2716), (0x271d, 0x271d), (0x2721, 0x2721), (0x2728, 0x2728), (0x2733, 0x2734),
    (0x2744, 0x2744), (0x2747, 0x2747), (0x274c, 0x274c), (0x274e, 0x274e), (0x2753, 0x2755),
    (0x2757, 0x2757), (0x2763, 0x2767), (0x2795, 0x2797), (0x27a1, 0x27a1), (0x27b0, 0x27b0),
    (0x27bf, 0x27bf), (0x2934, 0x2935), (0x2b05, 0x2b07), (0x2b1b, 0x2b1c), (0x2b50, 0x2b50),
    (0x2b55, 0x2b55), (0x3030, 0x3030), (0x303d, 0x303d), (0x3297, 0x3297), (0x3299, 0x3299),
    (0x1f000, 0x1f0ff), (0x1f10d, 0x1f10f), (0x1f12f, 0x1f12f), (0x1f16c, 0x1f171),
    (0x1f17e, 0x1f17f), (0x1f18e, 0x1f18e), (0x1f191, 0x1f19a), (0x1f1ad, 0x1f1e5),
    (0x1f201, 0x1f20f), (0x1f21a, 0x1f21a), (0x1f22f, 0x1f22f), (0x1f232, 0x1f23a),
    (0x1f23c, 0x1f23f), (0x1f249, 0x1f3fa), (0x1f400, 0x1f53d), (0x1f546, 0x1f64f),
    (0x1f680, 0x1f6ff), (0x1f774, 0x1f77f), (0x1f7d5, 0x1f7ff), (0x1f80c, 0x1f80f),
    (0x1f848, 0x1f84f), (0x1f85a, 0x1f85f), (0x1f888, 0x1f88f), (0x1f8ae, 0x1f8ff),
    (0x1f90c, 0x1f93a), (0x1f93c, 0x1f945), (0x1f947, 0x1faff), (0x1fc00, 0x1fffd),
)
"""Extended_Pictographic: what emoji begin with. It holds places for those of later versions."""
# fmt: on


def _class(ranges: Ranges) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def _others(ranges: Ranges) -> Ranges:
    starts = [0, *(last + 1 for _, last in ranges)]
    ends = [*(first - 1 for first, _ in ranges), sys.maxunicode]
    return tuple((start, end) for start, end in zip(starts, ends, strict=True) if start <= end)


UNSAFE = _class(UNSAFE_RANGES)
"""As it stands between the brackets of a regular expression, as do the others here."""

SAFE = _class(_others(UNSAFE_RANGES))
"""All other characters."""

PICTOGRAPHIC = _class(PICTOGRAPHIC_RANGES)

JOINER, SELECTOR = "\u200d", "\ufe0f"
_TONE = "\U0001f3fb-\U0001f3ff"

# Each ends with the character in question: as a lookbehind it has a fixed length.
_JOINED = (
    f"[{PICTOGRAPHIC}{_TONE}]{JOINER}",
    f"[{PICTOGRAPHIC}]{SELECTOR}{JOINER}",
)
_SELECTED = (
    f"[{PICTOGRAPHIC}]{SELECTOR}",
    f"[0-9#*]{SELECTOR}(?=\u20e3)",  # a keycap
)
_IS_NEEDED = (
    f"(?:(?<={JOINER})(?=[{PICTOGRAPHIC}])(?:(?<={_JOINED[0]})|(?<={_JOINED[1]}))"
    f"|(?<={_SELECTED[0]})|(?<={_SELECTED[1]}))"
)

JOINING = f"[{JOINER}{SELECTOR}]{_IS_NEEDED}"
"""Matches a joiner or selector that an emoji needs where it stands."""

UNSAFE_HERE = f"[{UNSAFE}](?:(?<![{JOINER}{SELECTOR}])|(?!{_IS_NEEDED}))"
"""Matches a character of `UNSAFE` that no emoji needs where it stands."""

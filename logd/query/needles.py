r"""The text that every match of a regular expression must contain: quick to find in raw bytes.

Only what is certain counts: literal characters outside of groups and choices that no quantifier
makes optional. Of `user \w+ failed: .*` that is "user " and " failed: ". Pure.
"""

from __future__ import annotations

import re

_SPECIAL = frozenset("\\.^$*+?{}[]|()")
_QUANTIFIER = re.compile(r"[*+?]|\{[0-9]*,?[0-9]*\}")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
# \d, \bword, \1, \x41, \N{...}: anything that is no escaped punctuation.
_ESCAPED_LITERAL = re.compile(r"\\([^\w\s])", re.ASCII)
_OTHER_ESCAPE = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-9]+|.)", re.DOTALL
)
# Flags under which literal characters of the pattern need not stand in the text as they are.
_FREE = re.IGNORECASE | re.VERBOSE


def needles(pattern: re.Pattern[str]) -> list[str]:
    """Texts without line breaks that every match contains, perhaps none."""
    text = pattern.pattern
    if pattern.flags & _FREE or "(?" in text:
        return []
    found: list[str] = []
    run = ""
    place = depth = 0
    while place < len(text):
        literal, place, depth_change = _token(text, place)
        if depth_change is None:  # a choice
            if not depth:
                return []
            continue
        depth += depth_change
        quantifier = _QUANTIFIER.match(text, place)
        if literal and not depth and not quantifier:
            run += literal
            continue
        if run:
            found.append(run)
        run = ""
        if quantifier:
            place = quantifier.end()
            # A lazy or possessive quantifier.
            if text[place : place + 1] in ("?", "+"):
                place += 1
            if quantifier[0] == "+" and literal and not depth:
                found.append(literal)
    if run:
        found.append(run)
    return [part for needle in found for part in needle.splitlines() if part]


def is_literal(pattern: re.Pattern[str]) -> bool:
    """Whether it matches one text only, so that finding its needle is finding a match."""
    if pattern.flags & _FREE:
        return False
    text = _ESCAPED_LITERAL.sub(" ", pattern.pattern)
    return bool(text) and text.isprintable() and not _SPECIAL.intersection(text)


def _token(text: str, place: int) -> tuple[str, int, int | None]:
    """One token: its literal character or "" if the next begins, by how much it nests."""
    char = text[place]
    if char == "\\":
        literal = _ESCAPED_LITERAL.match(text, place)
        if literal is not None:
            return literal[1], literal.end(), 0
        other = _OTHER_ESCAPE.match(text, place)
        return "", other.end() if other is not None else len(text), 0
    if char == "[":
        whole = _CLASS.match(text, place)
        return "", whole.end() if whole is not None else len(text), 0
    if char == "|":
        return "", place + 1, None
    nesting = {"(": 1, ")": -1}.get(char, 0)
    return "" if char in _SPECIAL else char, place + 1, nesting

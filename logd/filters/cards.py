"""Finds credit card numbers in text.

A number counts as a card's if a card network has given out numbers of its beginning and length and
its check digit is right (Luhn). Order numbers, times in microseconds and the like hardly ever pass.
Digits may be grouped by single blanks or hyphens; a card is found inside a longer row of groups
too ("order 12 4111 1111 1111 1111"), but not inside a longer group.
"""

from __future__ import annotations

import re

__all__ = ["is_card_number", "replace_cards"]

_NETWORKS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}"  # Visa: 13, 16, 19 digits
    r"|5[1-5]\d{14}"  # Mastercard
    r"|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard, 2-series
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|6\d{12,18}"  # Discover, UnionPay, Maestro
    r"|5[06-8]\d{11,17}"  # Maestro
)
_ROW = re.compile(r"\d(?:[ -]?\d){12,}", re.ASCII)
_GROUP = re.compile(r"\d+", re.ASCII)
_MIN_DIGITS, _MAX_DIGITS = 13, 19
# On paper and screens, groups of a card's number but the last one have at least this many digits.
# Shorter ones are lists of small numbers, which would cost much time to try.
_MIN_GROUP = 4
_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_SINGLE = bytes.maketrans(b"0123456789", bytes(range(10)))


def is_card_number(digits: str) -> bool:
    """Whether `digits` (only digits) can be the number of a credit card."""
    if _NETWORKS.fullmatch(digits) is None:
        return False
    backwards = digits.encode("ascii")[::-1]
    total = sum(backwards[::2].translate(_SINGLE)) + sum(backwards[1::2].translate(_DOUBLED))
    return total % 10 == 0


def replace_cards(text: str) -> str:
    """`text` with each card number replaced by "[card ending 1111]"."""
    return _ROW.sub(_replace_in_row, text)


def _replace_in_row(row: re.Match[str]) -> str:
    text = row[0]
    groups = list(_GROUP.finditer(text))
    done: list[str] = []
    copied = position = 0
    while position < len(groups):
        found = _card_from(groups, position)
        if found is None:
            position += 1
            continue
        last, digits = found
        done += (text[copied : groups[position].start()], f"[card ending {digits[-4:]}]")
        copied = groups[last].end()
        position = last + 1
    return "".join([*done, text[copied:]])


def _card_from(groups: list[re.Match[str]], first: int) -> tuple[int, str] | None:
    """The longest card number that begins with group `first`: its last group and its digits."""
    best = None
    digits = ""
    for position in range(first, len(groups)):
        digits += groups[position][0]
        if len(digits) > _MAX_DIGITS:
            break
        if len(digits) >= _MIN_DIGITS and is_card_number(digits):
            best = position, digits
        if len(groups[position][0]) < _MIN_GROUP:
            break
    return best

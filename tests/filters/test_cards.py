"""Credit card numbers are told from other long numbers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.filters.cards import is_card_number, replace_cards

# Numbers that the networks publish for tests.
CARDS = [
    "4111111111111111",
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "30569309025904",
    "3530111333300000",
    "6011111111111117",
    "6200000000000005",
    "5018000000000009",
]


@pytest.mark.parametrize("digits", CARDS)
def test_card_numbers(digits):
    """The numbers of all large networks are found, grouped or not; the last four digits stay."""
    assert is_card_number(digits)
    seen = f"[card ending {digits[-4:]}]"
    assert replace_cards(f"card {digits}.") == f"card {seen}."
    if len(digits) == 16:
        groups = [digits[start : start + 4] for start in range(0, 16, 4)]
        assert replace_cards(" ".join(groups)) == seen
        assert replace_cards("-".join(groups) + ";") == seen + ";"


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # wrong check digit
        "1795000000000000",  # a time in microseconds
        "9111111111111111",  # no network
        "41111111111111114111111111111111",  # inside a longer number
        "411111111111",  # too short
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",  # a list
        "2026-11-22 11:10:00",
        "٤١١١١١١١١١١١١١١١",
    ],
)
def test_other_numbers(text):
    """Other numbers stay."""
    assert replace_cards(text) == text


def test_several_in_a_row():
    """Cards among other groups of digits are found."""
    text = "order 12 4111 1111 1111 1111 5555 5555 5555 4444 812"
    assert replace_cards(text) == "order 12 [card ending 1111] [card ending 4444] 812"


@given(st.text(alphabet="0123456789 -x", max_size=200))
def test_nothing_else_is_changed(text):
    """Replacing changes nothing but cards: putting them back gives the text again."""
    replaced = replace_cards(text)
    assert replace_cards(replaced) == replaced
    if "[card" not in replaced:
        assert replaced == text


@given(st.text(alphabet="x", max_size=20), st.sampled_from(CARDS), st.text("yz", max_size=20))
def test_found_in_any_surroundings(before, digits, after):
    """A card is found wherever no digit touches it."""
    assert digits not in replace_cards(f"{before}{digits}{after}")


@pytest.mark.parametrize("piece", ["4111 ", "4", "4-", "4111111111111 ", "41 "])
def test_cost(piece):
    """Text made to be searched for long takes time that grows with its length, not its square."""
    text = piece * (200_000 // len(piece))
    start = time.process_time()
    replace_cards(text)
    # Less than a second on most machines; the square would be an hour.
    assert time.process_time() - start < 20

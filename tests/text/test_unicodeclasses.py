import re
import sys

import pytest
import regex

from logd.text.unicodeclasses import PICTOGRAPHIC, SAFE, UNSAFE

EVERYTHING = "".join(map(chr, range(sys.maxunicode + 1)))
TABLES = r"[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]"


def test_unsafe_characters_are_those_of_unicodes_tables() -> None:
    """What is escaped follows from categories and properties, not from what came to mind."""
    assert re.findall(f"[{UNSAFE}]", EVERYTHING) == regex.findall(TABLES, EVERYTHING)


def test_classes_divide_all_characters() -> None:
    """Each character is either in the safe or in the unsafe class."""
    assert re.sub(f"[{UNSAFE}]", "", EVERYTHING) == "".join(re.findall(f"[{SAFE}]", EVERYTHING))


def test_emoji_begin_with_what_the_tables_call_pictographic() -> None:
    """Later versions of Unicode only fill places that the table holds already, or leave some."""
    ours = set(re.findall(f"[{PICTOGRAPHIC}]", EVERYTHING))
    theirs = set(regex.findall(r"\p{Extended_Pictographic}", EVERYTHING))
    assert theirs <= ours


@pytest.mark.parametrize("character", "\u0664\u4e2d\u00e9\u0915\U0001f600\U00020000")
def test_scripts_of_the_world_are_safe(character: str) -> None:
    """Letters, digits, marks and signs of all scripts are left alone."""
    assert re.fullmatch(f"[{SAFE}]", character)

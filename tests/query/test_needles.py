"""What matches of a regular expression must contain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.query.needles import is_literal, needles


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("timeout", ["timeout"]),
        (r"user \w+ failed: .*", ["user ", " failed: "]),
        ("ab?c", ["a", "c"]),
        ("ab+c", ["a", "b", "c"]),
        ("ab{2}c", ["a", "c"]),
        ("a|b", []),
        ("x(a|b)y", ["x", "y"]),
        ("x[ab]y", ["x", "y"]),
        (r"a\.b", ["a.b"]),
        (r"\bword\b", ["word"]),
        (r"a\x41b", ["a", "b"]),
        ("(?i)a", []),
        ("a*?b", ["b"]),
        ("^a$", ["a"]),
        ("a\nb", ["a", "b"]),
    ],
)
def test_examples(pattern: str, found: list[str]) -> None:
    """Literal characters that nothing makes optional are found."""
    assert needles(re.compile(pattern)) == found


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        ".",
        "\\.",
        "\\d",
        "[ab]",
        "[^]a]",
        "(",
        ")",
        "|",
        "*",
        "+",
        "?",
        "{2}",
        "^",
        "$",
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join), st.text("ab.]1\n", max_size=12))
def test_every_match_contains_them(pattern: str, text: str) -> None:
    """No text that matches lacks a needle."""
    try:
        compiled = re.compile(pattern)
    except re.error:
        return
    if compiled.search(text):
        assert all(needle in text for needle in needles(compiled))
        if is_literal(compiled):
            assert "".join(needles(compiled)) in text


@given(st.text("ab .-", min_size=1, max_size=8), st.text("ab .-", max_size=12))
def test_literals(text: str, message: str) -> None:
    """A pattern of one text matches where the text is, and only there."""
    compiled = re.compile(re.escape(text))
    if is_literal(compiled):
        assert (compiled.search(message) is not None) == (needles(compiled)[0] in message)

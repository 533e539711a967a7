"""Texts are found with the index as without it; blocks that lack them are not read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from logd.query.files import indexing, raw
from logd.query.files.indexkeeping import keep
from logd.query.files.listing import RingFiles
from logd.query.files.source import FileSource
from logd.query.files.trigrams import TrigramMaker, may_have, needed
from logd.query.selection import Selection
from logd.query.terms import Term
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.logfmtlines import LogfmtFormat
from tests.query.log_making import Notes, numbers, record, write_log

WORDS = (
    "alpha",
    "beta",
    "gamma7delta",
    "Kelvin",
    "\N{KELVIN SIGN}elvin",
    "mi\u017fs",
    "x\x1by",
    "é",
)
TERMS = (
    *(Term("text", "=", text) for text in (*WORDS, "a7d", "Alpha", "alpha beta", "nothing", "7")),
    *(Term("text", "=", text, ignore_case=True) for text in (*WORDS, "KELVIN", "MISS", "gAMMA7")),
    *(Term("text", "~", text) for text in ("alp+ha", "beta|gamma", "(?i)ALPHA", "^Kel.in")),
    Term("logger", "=", "shop.cart"),
    Term("logger", "=", "shop.*"),
    Term("site", "=", "views.py"),
    Term("host", "=", "example"),
    Term("cat", "=", "E"),
    Term("cat", "=", "X"),
    Term("cat", "~", "[EW]"),
    Term("logger", "has"),
)


@pytest.fixture(params=[LineFormat, JsonFormat, LogfmtFormat])
def pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """A log of two files in small blocks; the first has an index."""
    monkeypatch.setattr(raw, "BLOCK_BYTES", 500)
    monkeypatch.setattr(indexing, "MIN_INDEXED_BYTES", 1)
    chosen = random.Random(3)
    batches = [
        record(
            number,
            msg=" ".join(chosen.sample(WORDS, 2)) if chosen.random() < 0.2 else f"plain {number}",
            special={"logger": chosen.choice(("shop.cart", "shop.pay", "other"))},
            cat="E" if number in (50, 250) else "I",
            peer="example" if chosen.random() < 0.1 else "",
        )
        for number in range(300)
    ]
    write_log(tmp_path / "app_%d.log", batches, lines=200, line_format=request.param())
    return tmp_path / "app_%d.log"


def test_the_same_with_and_without(pattern: Path) -> None:
    """Each condition finds the same entries, forwards, backwards and negated."""
    source = FileSource(str(pattern), Notes())
    terms = [*TERMS, *(Term(t.field, t.operator, t.value, is_not=True) for t in TERMS)]
    before = {term: numbers(source.entries(Selection(terms=(term,)))) for term in terms}
    assert len(list(keep(RingFiles(str(pattern))))) == 1
    every = list(source.entries())
    for term in terms:
        selection = Selection(terms=(term,))
        assert before[term] == numbers(entry for entry in every if selection.matches(entry)), term
        assert numbers(source.entries(selection)) == before[term], term
        newest = numbers(source.entries(selection, newest_first=True))
        assert newest == before[term][::-1], term
        assert source.summarise(selection).total == len(before[term]), term


def test_blocks_are_passed_over(pattern: Path) -> None:
    """Of a file with an index only blocks are read that may have the text."""
    read: list[float] = []
    source = FileSource(str(pattern), Notes())
    absent = (
        Term("text", "=", "nothing of that"),
        Term("cat", "=", "X"),
        Term("host", "=", "10.0.0.99"),
        Term("logger", "=", "none"),
    )
    without = []
    for term in absent:
        read.clear()
        assert list(source.entries(Selection(terms=(term,)), watch=read.append)) == []
        without.append(len(read))
    list(keep(RingFiles(str(pattern))))
    for term, number in zip(absent, without, strict=True):
        read.clear()
        assert list(source.entries(Selection(terms=(term,)), watch=read.append)) == []
        assert len(read) < number / 2
    read.clear()
    rare = Selection(terms=(Term("cat", "=", "E"),))
    assert numbers(source.entries(rare, watch=read.append)) == [50, 250]
    assert len(read) < without[0] / 2


def test_escaped_letters_are_never_passed_over() -> None:
    """Blocks of other programs, whose letters may be written as escapes, may have anything."""
    wanted = needed(Selection(terms=(Term("text", "=", "alpha"),)))
    assert may_have(TrigramMaker().bits(b'{"time":"","msg":"\\u0061lpha"}\n'), wanted)
    assert not may_have(TrigramMaker().bits(b'{"time":"","msg":"beta \\u001f"}\n'), wanted)

"""The picture, put together of parts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from logd.query.files.source import FileSource
from logd.web.answers.view import (
    MAX_CATEGORIES,
    MAX_FACET_VALUES,
    OTHERS,
    frame_of,
    view,
)
from logd.web.answers.wanted import wanted
from tests.query.log_making import START, record, write_log

MANY = 40 << 20
"""Bytes that are read in about ten windows."""


def _asked(source: FileSource, size: int, before: float | None) -> dict[str, Any]:
    until = START + 1000
    want = wanted({}, now=until)
    return view(
        source,
        want,
        frame_of(want, START, 50, until),
        begins=START,
        size=size,
        facets=["site", "host"],
        top=1,
        before=before,
        budget_s=0.0,
        watch=lambda done: None,
    )


def test_parts_are_the_whole(tmp_path: Path) -> None:
    """Parts of a picture, newest first, add up to the one of a log that is read at once."""
    pattern = tmp_path / "x_%d.log"
    batches = [record(n, cat="EI"[n % 2], peer=f"10.0.0.{n % 7}") for n in range(1, 900)]
    write_log(pattern, batches)
    source = FileSource(str(pattern), lambda note: None)
    whole = _asked(source, 1000, None)
    assert not whole["partial"]
    assert (whole["total"], whole["done"]) == (899, 1.0)
    assert [len(facet["values"]) for facet in whole["facets"]] == [1, 1]

    total, parts, before = 0, 0, None
    bars: dict[str, Counter[int]] = {}
    hosts: Counter[str] = Counter()
    done = 0.0
    while True:
        part = _asked(source, MANY, before)
        parts += 1
        total += part["total"]
        for cat, counts in part["bars"].items():
            bars.setdefault(cat, Counter()).update(dict(enumerate(counts)))
        # All values of a part, for what is rare in one may be frequent in another.
        assert len(part["facets"][1]["values"]) <= MAX_FACET_VALUES
        hosts.update(dict(part["facets"][1]["values"]))
        assert part["done"] > done
        done = part["done"]
        if not part["partial"]:
            break
        before = float(part["next"])
    assert parts > 3
    assert total == 899
    assert {cat: [counts[n] for n in sorted(counts)] for cat, counts in bars.items()} == (
        whole["bars"]
    )
    assert hosts.total() == 899
    assert len(hosts) == 7


def test_few_categories_are_told_apart(tmp_path: Path) -> None:
    """A thousand categories are no thousand rows of bars: the rare ones are counted together."""
    pattern = tmp_path / "x_%d.log"
    cats = [*(f"c{n}" for n in range(1, 300)), *["E"] * 40, "*"]
    write_log(pattern, [record(n, cat=cat) for n, cat in enumerate(cats)])
    bars = _asked(FileSource(str(pattern), lambda note: None), 1000, None)["bars"]
    assert len(bars) == MAX_CATEGORIES + 1
    assert sum(bars["E"]) == 40
    assert sum(map(sum, bars.values())) == len(cats)
    assert sum(bars[OTHERS]) == 300 - (MAX_CATEGORIES - 1)

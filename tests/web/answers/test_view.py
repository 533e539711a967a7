"""The picture, put together of parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.tables.output import TableOutput
from logd.query.files import raw
from logd.query.files.source import FileSource
from logd.query.merged import MergedSource
from logd.query.source import LogSource
from logd.query.tables.source import TableSource
from logd.rotation.policy import Retention, RotationPolicy
from logd.web.answers.limits import ScanLimits
from logd.web.answers.view import (
    MAX_CATEGORIES,
    MAX_FACET_VALUES,
    OTHERS,
    frame_of,
    view,
)
from logd.web.answers.wanted import wanted
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, Notes, record, write_log

COUNT = 600
RAISED = "\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'"


def _batches() -> list[Any]:
    return [
        record(
            n,
            cat="EIW"[n % 3],
            peer=f"10.0.0.{n % 7}",
            special={"logger": "ab"[n % 2]},
            msg="x" * 1000 + (RAISED if n % 5 == 0 else ""),
        )
        for n in range(1, COUNT + 1)
    ]


@pytest.fixture(params=["files", "tables", "merged"])
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LogSource]:
    """The same log in each way it can be kept; files are read in small blocks."""
    monkeypatch.setattr(raw, "BLOCK_BYTES", 40_000)
    if request.param == "tables":
        database = request.getfixturevalue("sqlite")
        settings = make_settings(
            tmp_path,
            rotation=RotationPolicy(lines=90),
            retention=Retention(count=9),
            durable=False,
            table_pattern=database.pattern,
        )
        output = TableOutput(database.url, settings)
        output.open()
        output.write(_batches())
        output.close()
        tables = TableSource(database.url, Notes(), pattern=database.pattern)
        yield tables
        tables.close()
        return
    if request.param == "files":
        write_log(tmp_path / "x_%d.log", _batches(), lines=250)
        yield FileSource(str(tmp_path / "x_%d.log"), Notes())
        return
    for name in "ab":
        some = [batch for n, batch in enumerate(_batches()) if (n % 3 == 0) is (name == "a")]
        write_log(tmp_path / f"{name}_%d.log", some, lines=250)
    parts = [FileSource(str(tmp_path / f"{name}_%d.log"), Notes()) for name in "ab"]
    yield MergedSource(parts, Notes())


def _asked(
    source: LogSource, search: dict[str, list[str]], seconds: float, before: str = ""
) -> dict[str, Any]:
    until = START + 1000
    want = wanted(search, now=until)
    return view(
        source,
        want,
        frame_of(want, START, 50, until),
        begins=START,
        size=1000,
        facets=["cat", "exc", "host", "logger"],
        top=1,
        end=source.position(before) if before else source.end(),
        is_first=not before,
        limits=ScanLimits(seconds),
        watch=lambda done: None,
    )


@pytest.mark.parametrize("chosen", [[], ["host:10.0.0.3"], ["cat:E", "logger:a"], ["cat:none"]])
def test_parts_are_the_whole(source: LogSource, chosen: list[str]) -> None:
    """Parts of a picture, newest first, add up to the one of a log that is read at once."""
    search = {"f": chosen}
    whole = _asked(source, search, 1000.0)
    matching = list(source.entries(wanted(search).selection()))
    assert not whole["partial"]
    assert (whole["total"], whole["done"]) == (len(matching), 1.0)
    assert all(len(facet["values"]) <= 1 for facet in whole["facets"])

    total, parts, before, done = 0, 0, "", 0.0
    bars: dict[str, Counter[int]] = {}
    counts: dict[str, Counter[str]] = {}
    while True:
        part = _asked(source, search, 0.0, before)
        parts += 1
        total += part["total"]
        for cat, some in part["bars"].items():
            bars.setdefault(cat, Counter()).update(dict(enumerate(some)))
        for facet in part["facets"]:
            # All values of a part, for what is rare in one may be frequent in another.
            assert len(facet["values"]) <= MAX_FACET_VALUES
            counts.setdefault(facet["field"], Counter()).update(dict(facet["values"]))
        assert part["done"] >= done
        done = part["done"]
        if not part["partial"]:
            break
        assert part["searched_back_to"] >= START
        before = part["next"]
    assert parts > 3
    assert total == whole["total"]
    assert {cat: [some[n] for n in sorted(some)] for cat, some in bars.items()} == whole["bars"]
    (exc,) = [facet for facet in whole["facets"] if facet["field"] == "exc"]
    raised = [entry for entry in matching if entry.msg.endswith(RAISED)]
    assert exc["values"] == ([("KeyError", len(raised))] if raised else [])
    assert not exc["partial"]
    for field in ("cat", "host", "logger"):
        # A facet counts without its own conditions, and with those of the others.
        others = [text for text in chosen if not text.startswith(f"{field}:")]
        found = list(source.entries(wanted({"f": others}).selection()))
        assert counts[field].total() == len(found), field


def test_few_categories_are_told_apart(tmp_path: Path) -> None:
    """A thousand categories are no thousand rows of bars: the rare ones are counted together."""
    pattern = tmp_path / "x_%d.log"
    cats = [*(f"c{n}" for n in range(1, 300)), *["E"] * 40, "*"]
    write_log(pattern, [record(n, cat=cat) for n, cat in enumerate(cats)])
    bars = _asked(FileSource(str(pattern), lambda note: None), {}, 1000.0)["bars"]
    assert len(bars) == MAX_CATEGORIES + 1
    assert sum(bars["E"]) == 40
    assert sum(map(sum, bars.values())) == len(cats)
    assert sum(bars[OTHERS]) == 300 - (MAX_CATEGORIES - 1)

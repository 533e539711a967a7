"""What SQL counts and selects is what Python counts and selects, entry by entry."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.tables.output import TableOutput
from logd.query.barsteps import Step
from logd.query.selection import Selection
from logd.query.source import LogSource, TablePosition
from logd.query.summaries import Key, Summary
from logd.query.tables import counting
from logd.query.tables.source import TableSource
from logd.query.terms import Term
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, Notes

TRACEBACK = (
    "\nTraceback (most recent call last):\n"
    '  File "/srv/pay.py", line 4, in pay\n    charge()\nshop.CardError: declined'
)
CATS = ("E", "W", "", "-", "my_cat", "my cat", "e")
PATHS: Sequence[Any] = (
    (("/srv/views.py", 42), ("/srv/urls.py", 10)),
    (("/srv/views.py", 43), ("/srv/urls.py", 10)),
    (("a(b).py", 1),),
    ((None, None), ("b.py", 2)),
    (),
)
ITEMS: Sequence[Any] = (
    {"logger": "shop.cart", "user": "ann", "n": 5},
    {"logger": "shop.pay", "user": "5", "n": 5.0, "flag": True},
    {"logger": "null", "user": None, "n": 1e16, "flag": "true"},
    {"note": '"user":"ann" \\ 50% é \n', "n": -7, "deep": {"list": [1, 2.5], "user": "ann"}},
    {"logger": "shop.cart ", "odd key": 1, "é": "ü", "n": 1e-7, "x": 12345678901234567890},
    None,
)
MESSAGES = ("card declined", "Card declined 50%_\\", f"oops{TRACEBACK}", "line\nline", "é ü")
SELECTIONS: Sequence[Sequence[Term]] = (
    (),
    *(
        [Term(field, "=", value)]
        for field, value in (
            ("cat", "E"), ("cat", "-"), ("cat", "my_cat"), ("cat", "my cat"), ("cat", "*cat"),
            ("host", "10.0.0.7"), ("host", "-"), ("host", "10.*"), ("func", "charge"),
            ("thread", "-"), ("pid", "2"), ("pid", "2@10.0.0.7"), ("pid", "2@-"), ("pid", "02"),
            ("tid", "9"), ("msgid", "17"), ("site", "views.py"), ("site", "views.py(42)"),
            ("site", "a(b).py"), ("site", "a"), ("site", "-"), ("site", "..."), ("path", "urls.py"),
            ("logger", "shop.cart"), ("logger", "null"), ("user", "ann"), ("user", "5"),
            ("user", "null"), ("n", "5"), ("n", "5.0"), ("n", "-7"), ("flag", "true"),
            ("odd key", "1"), ("é", "ü"), ("deep", '{"list":[1,2.5],"user":"ann"}'),
            ("text", "card"), ("text", "50%_\\"), ("text", "line\nline"), ("text", "é"),
            ("exc", "shop.CardError"),
        )
    ),
    [Term("n", ">", "4")],
    [Term("logger", "~", "^shop")],
    [Term("text", "~", "Card|line")],
    [Term("text", "=", "CARD", ignore_case=True)],
    *([Term(field, "has")] for field in ("cat", "host", "user", "n", "exc", "traceback", "site")),
    *(
        [Term(field, "=", value, is_not=True)]
        for field, value in (
            ("cat", "E"), ("cat", "-"), ("cat", "my_cat"), ("host", "-"), ("host", "10.0.0.7"),
            ("site", "views.py"), ("logger", "shop.cart"), ("user", "5"), ("text", "card"),
            ("pid", "2@10.0.0.7"), ("exc", "shop.CardError"),
        )
    ),
    [Term("cat", "=", "E"), Term("cat", "=", "-"), Term("host", "=", "-")],
    [Term("cat", "=", "E"), Term("cat", "=", "e", is_not=True), Term("text", "=", "card")],
)  # fmt: skip
KEYS: Sequence[Key] = (
    "cat", "host", "site", "path", "func", "thread", "pid", "tid", "exc", "logger", "user", "n",
    "flag", "deep", "odd key", "é", "x", "minute", "hour", "day", "traceback",
    ("cat", "host"), ("logger", "site", "hour"), ("exc", "cat"),
)  # fmt: skip
STEPS: Sequence[Step] = ("minute", "hour", "day", "auto", 7, 120)


def batches(count: int, seed: int, seconds_apart: float) -> Iterator[Batch]:
    """Records of all kinds, each alone."""
    chosen = random.Random(seed)
    stamps = Timestamps(DEFAULT_FORMAT)
    for number in range(1, count + 1):
        context = Context(
            number % 4,
            number % 3 * 9,
            chosen.choice(("MainThread", "")),
            chosen.choice(CATS),
            chosen.choice(PATHS),
            1,
            chosen.choice(("charge", "")),
        )
        time = START + number * seconds_apart + chosen.randrange(10**6) / 1e6
        items = chosen.choice(ITEMS)
        yield Batch(
            [context],
            bytes(1),
            [number],
            [time],
            [chosen.choice(MESSAGES)],
            {0: items} if items else None,
            peer=chosen.choice(("10.0.0.7", "10.0.0.8", "")),
            ts=stamps.texts([time]),
            formatter=ShortNames(),
        )


@pytest.fixture(params=[1.0, 400.0])
def source(database: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TableSource]:
    """A ring of three tables, of some minutes or of a day."""
    settings = make_settings(
        tmp_path,
        rotation=RotationPolicy(lines=90),
        retention=Retention(count=5),
        durable=False,
        table_pattern=database.pattern,
    )
    output = TableOutput(database.url, settings)
    output.open()
    output.write(list(batches(240, 7, request.param)))
    output.close()
    source = TableSource(database.url, Notes(), pattern=database.pattern)
    yield source
    source.close()


def by_python(source: LogSource, selection: Selection, **asked: Any) -> Summary:
    """What a pass over all entries counts."""
    entries = [placed for placed in source.placed() if selection.matches(placed.entry)]
    return Pass(entries).summarise(**asked)


class Pass(LogSource):
    """A log that is a list."""

    def __init__(self, entries: list[Any]) -> None:
        super().__init__(Notes())
        self._entries = entries

    def placed(self, *_args: Any, **_more: Any) -> Iterator[Any]:
        return iter(self._entries)

    def is_there(self) -> bool:
        return True

    def end(self) -> None:
        return None

    def has(self, position: Any) -> bool:
        return False

    def follow(self, *_args: Any) -> Any:
        raise AssertionError


def test_every_selection(source: TableSource) -> None:
    """Each condition finds what it finds in Python, and counts the same."""
    every = list(source.entries())
    assert len(every) == 240
    middle = every[120].time
    for terms, (since, until) in itertools.product(SELECTIONS, ((None, None), (START, middle))):
        selection = Selection(since=since, until=until, terms=tuple(terms))
        wanted = [entry for entry in every if selection.matches(entry)]
        found = list(source.entries(selection))
        assert sorted(e.msgid for e in found) == [e.msgid for e in wanted], terms
        assert source.summarise(selection).total == len(wanted), terms
        if terms and since is None and terms[0].operator == "=" and not terms[0].ignore_case:
            assert wanted or terms[0].value in ("02", "a", "my cat"), "a condition that can't fail"


def test_every_count(source: TableSource) -> None:
    """Each facet and each histogram is what a pass over the entries counts."""
    every = list(source.placed())
    for terms in ((), (Term("cat", "=", "E"),), (Term("logger", "=", "shop.cart"),)):
        for since in (None, START + 100.5):
            selection = Selection(since=since, terms=terms)
            whole = Pass([placed for placed in every if selection.matches(placed.entry)])
            for step in STEPS:
                assert source.summarise(selection, step=step) == whole.summarise(step=step)
            found = source.summarise(selection, step="auto", keys=KEYS)
            expected = whole.summarise(step="auto", keys=KEYS)
            for key in KEYS:
                assert found.facets[key] == expected.facets[key], key
            assert found == expected


def test_counts_between_positions(source: TableSource) -> None:
    """Counts end and begin at positions, within tables and at their ends."""
    every = list(source.placed())
    for start, end in ((None, 30), (30, 200), (89, 90), (200, None)):
        between = {
            "start": None if start is None else every[start].behind,
            "end": None if end is None else every[end].behind,
        }
        found = source.summarise(step="auto", keys=["cat", "host"], **between)
        whole = Pass(every[0 if start is None else start + 1 : None if end is None else end + 1])
        assert found == whole.summarise(step="auto", keys=["cat", "host"])
    assert isinstance(every[0].behind, TablePosition)


def test_too_many_values(source: TableSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more values than fit in memory the rarest are counted together."""
    monkeypatch.setattr(counting, "MAX_LABELS", 3)
    found = source.summarise(keys=["msgid", "host"])
    assert found.total == 240
    assert found.facets["host"].total() == 240
    assert found.facets["msgid"].total() + found.others["msgid"] == 240
    assert len(found.facets["msgid"]) == 9

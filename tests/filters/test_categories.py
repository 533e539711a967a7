"""Records pass or not by their category."""

from __future__ import annotations

import pytest

from logd.daemon.plugins import load_callables
from logd.filters import Categories
from logd.records.batch import Batch
from logd.records.context import Context
from logd.server import LogServer


@pytest.mark.parametrize(
    ("step", "cat", "dropped"),
    [
        (Categories(enable=("E", "W")), "E", False),
        (Categories(enable=("E", "W")), "D", True),
        (Categories(enable=("E", "W")), "", True),
        (Categories(disable=["D"]), "D", True),
        (Categories(disable=["D"]), "DD", False),
        (Categories(disable=["D"]), "", False),
    ],
)
def test_enabled_and_disabled(step, cat, dropped, make_job, run):
    """Only enabled categories pass, or all but the disabled ones."""
    assert run(step, make_job(cat=cat)).dropped is dropped


def test_in_settings(make_job, run):
    """Categories in settings are separated by commas."""
    (step,) = load_callables(["logd.filters:Categories?disable=D,I"])
    assert run(step, make_job(cat="I")).dropped
    assert not run(step, make_job(cat="E")).dropped


def test_either_or():
    """Both lists together, or none of them, or a plain string is an error."""
    with pytest.raises(ValueError, match="either enable or disable"):
        Categories()
    with pytest.raises(ValueError, match="either enable or disable"):
        Categories(("E",), ("D",))
    with pytest.raises(TypeError, match="'EW'"):
        Categories("EW")


def batch(cats: str, client: bytes | None) -> Batch:
    """A record of each category, every second with an item."""
    contexts = [Context(1, 2, "main", cat, (("a.py", 3),), 1, "f") for cat in sorted(set(cats))]
    index = [sorted(set(cats)).index(cat) for cat in cats]
    count = len(cats)
    special = {row: {"n": row} for row in range(0, count, 2)}
    texts = [f"text {row}" for row in range(count)]
    first = 7 if client else 0
    columns = (contexts, index, range(count), [1e9] * count, texts, special)
    return Batch(*columns, client=client, first=first)


class Loud(Categories):
    """One whose records are looked at singly."""

    def __call__(self, jobhist, writer):
        super().__call__(jobhist, writer)


@pytest.mark.parametrize("client", [None, b"c" * 16])
@pytest.mark.parametrize("cats", ["EEE", "EDEDW", "DDE", "EDD", "DD", "E"])
def test_a_whole_batch_is_filtered_as_its_records_are(cats, client):
    """By columns or one by one: the same records, items and sequence numbers are left."""
    left = []
    for kind in (Categories, Loud):
        server = LogServer(None)
        server.filters.append(kind(disable=["D"]))
        kept = server.prepare(batch(cats, client)).batch
        left.append(kept and (list(map(repr, kept.jobs())), kept.first, kept.last))
        assert (kept is None) == (set(cats) == {"D"})
        if kept is not None:
            assert {*kept.index} == {*range(len(kept.contexts))}
    assert left[0] == left[1]

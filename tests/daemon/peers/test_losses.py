"""Losses that clients report are added up."""

from __future__ import annotations

from logd.daemon.peers.losses import MAX_LOST_IN_A_REPORT, LossReports
from logd.records.batch import Batch
from logd.records.context import Context
from logd_client.buffer import lost_row

OTHER = Context(7, 1, "MainThread", "I", (("a.py", 1),), 1, "f")


def batch(*rows: tuple[Context, dict[str, object]]) -> Batch:
    """Records with special items."""
    contexts = list(dict.fromkeys(context for context, _ in rows))
    count = len(rows)
    return Batch(
        contexts,
        [contexts.index(context) for context, _ in rows],
        range(count),
        [1.0] * count,
        [""] * count,
        {row: items for row, (_, items) in enumerate(rows) if items},  # type: ignore[misc]
        peer="10.0.0.5",
    )


def report(records: object, pid: int = 4711) -> tuple[Context, dict[str, object]]:
    """What the client puts in the place of records it lost."""
    own = Context(*lost_row(1, pid, 1.0, "lost")[0].fields)
    return own, {"lost": records}


def test_reports_are_added_up() -> None:
    """Records and reports are counted; the last one is kept with its sender."""
    losses = LossReports(clock=lambda: 5.0)
    losses.look_at(batch(report(3), (OTHER, {}), report(4, pid=9)))
    losses.look_at(batch(report(10)))
    assert (losses.records, losses.reports) == (17, 3)
    assert losses.last is not None
    assert losses.last == (type(losses.last))(5.0, "10.0.0.5", 4711, 10)


def test_only_the_clients_own_word_counts() -> None:
    """An application's item of that name is no report, and neither is nonsense."""
    losses = LossReports()
    losses.look_at(batch((OTHER, {"lost": 5})))
    too_many = MAX_LOST_IN_A_REPORT + 1
    losses.look_at(batch(report("many"), report(-1), report(True), report(too_many)))
    assert (losses.records, losses.reports, losses.last) == (0, 0, None)

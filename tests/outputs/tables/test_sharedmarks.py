"""Outputs of several daemons that share their marks in one database."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.outputs.tables.output import TableOutput
from logd.outputs.tables.sharedmarks import TableMarks
from logd.outputs.tables.store import TableStore
from logd.query.tables.rings import open_tables
from tests.conftest import Database
from tests.outputs.table_making import Outputs

ANN, BOB = (b"h1:" + letter * 13 for letter in (b"a", b"b"))


@pytest.fixture(params=["postgresql", "mariadb"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outputs]:
    """Outputs on a database that daemons can share."""
    database: Database = request.getfixturevalue(request.param)
    made = Outputs(database, tmp_path)
    yield made
    made.close_all()


def ring(shared: Outputs, name: str, **settings: object) -> TableOutput:
    """An output, open, with a ring of its own."""
    pattern = shared.database.pattern.replace("%d", f"{name}_%d")
    return shared.opened(pattern=pattern, shared=True, **settings)


def messages(shared: Outputs) -> list[str]:
    """All that is in the rings."""
    return [entry.msg for entry in open_tables(shared.database.url, print, None).entries()]


def test_what_one_stored_the_other_leaves_out(shared: Outputs) -> None:
    """Of a session's records each is stored once, whichever output gets them, early or late."""
    one, other = ring(shared, "a"), ring(shared, "b")
    one.write([shared.batch(5, client=ANN)])
    written = other.write([shared.batch(10, client=ANN), shared.batch(2, client=BOB)])
    assert [(batch.client, batch.first, batch.last) for batch in written] == [
        (ANN, 6, 10),
        (BOB, 1, 2),
    ]
    assert one.write([shared.batch(3, client=ANN, first=6), shared.batch(2, client=BOB)]) == []
    one.write([shared.batch(1, client=ANN, first=11)])
    counts = Counter(messages(shared))
    assert counts == {f"message {n}": 2 if n < 3 else 1 for n in range(1, 12)}
    marks = TableMarks(shared.database.url)
    assert marks.read([ANN, BOB, b"h1:" + bytes(13)]) == {ANN: 11, BOB: 2}
    marks.close()


def test_outputs_write_the_same_at_the_same_time(shared: Outputs) -> None:
    """Four outputs, each with all records of twelve sessions, store each record once, in order."""
    clients = [b"h1:" + os.urandom(13) for _ in range(12)]
    outputs = [ring(shared, name) for name in "abcd"]
    problems: list[Exception] = []

    def write(output: TableOutput, seed: int) -> None:
        chance = random.Random(seed)
        left = dict.fromkeys(clients, 1)
        while left:
            some = chance.sample(sorted(left), min(len(left), chance.randint(1, 6)))
            batches = []
            for client in some:
                count = min(chance.randint(1, 9), 31 - left[client])
                msgs = [f"{client.hex()} {left[client] + n}" for n in range(count)]
                batches.append(shared.batch(client=client, first=left[client], msgs=msgs))
                left[client] += count
                if left[client] == 31:
                    del left[client]
            try:
                output.write(batches)
            except Exception as exc:
                problems.append(exc)
                return

    threads = [
        threading.Thread(target=write, args=(output, seed)) for seed, output in enumerate(outputs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    found = messages(shared)
    assert Counter(found) == {f"{c.hex()} {n}": 1 for c in clients for n in range(1, 31)}


def test_marks_of_before_are_shared_along(shared: Outputs) -> None:
    """What a ring knew before it shared its marks is known to all from then on."""
    pattern = shared.database.pattern.replace("%d", "a_%d")
    alone = shared.opened(pattern=pattern)
    alone.write([shared.batch(5, client=ANN)])
    alone.close()
    ring(shared, "a")
    assert ring(shared, "b").write([shared.batch(5, client=ANN)]) == []


def test_all_name_sessions_alike(shared: Outputs) -> None:
    """The first daemon's key is the one that all use."""
    ring(shared, "a")
    marks = TableMarks(shared.database.url)
    assert marks.key(b"1" * 32) == marks.key(b"2" * 32) == b"1" * 32
    marks.close()


def test_daemons_that_share_start_together(
    shared: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a fresh database all of them open, at the same moment."""
    barrier = threading.Barrier(4)
    take_up = TableStore._take_up

    def together(store: TableStore, *arguments: object) -> None:
        barrier.wait(30)
        take_up(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TableStore, "_take_up", together)
    problems: list[Exception] = []

    def open_one(name: str) -> None:
        try:
            ring(shared, name)
        except Exception as exc:
            problems.append(exc)

    threads = [threading.Thread(target=open_one, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []

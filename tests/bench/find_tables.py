"""Goals of finding in tables: the questions of `find.py` to ten million rows, with `text_index`.

The rows are written by the real output, a million a table, into a SQLite file and a PostgreSQL
database of the benchmark's own, which are dropped afterwards. Making them takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import text

from logd.outputs.base import OutputSettings
from logd.outputs.tables.output import TableOutput
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import ContextItems
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.lines import LineFormat
from tests.bench import corpus, find_ring
from tests.bench.debian import PeerMissing
from tests.bench.files import scratch_folder
from tests.bench.find import QUERY, Asked, Question, ask
from tests.bench.results import Goal, Row, Settings, at_most, progress
from tests.bench.tables import Database, Postgresql, Sqlite

TASK = "11 find in tables"
_ROWS_A_BATCH = 5_000
_HOSTS = ("", "10.0.0.7", "10.0.0.8", "10.0.0.9")
_SERVED = at_most(1.0, "s")


def find_tables(settings: Settings) -> Iterator[Row]:
    """Each question to each database."""
    rows = settings.pick(10_000_000, 1_000_000, 20_000)
    with scratch_folder() as folder:
        kinds: dict[str, Callable[[], Database]] = {
            "SQLite": lambda: Sqlite(folder),
            "PostgreSQL": Postgresql,
        }
        for name, kind in kinds.items():
            database = kind()
            try:
                database.recreate()
                progress(f"{name}: {rows:,} rows are made")
                fill(database, folder, rows)
                _analyse(database)
                yield from _answers(name, database, rows, settings.rounds)
            except PeerMissing as exc:
                yield Row(TASK, name, (), "s", f"left out: {exc}", _SERVED)
            finally:
                database.drop()


def fill(database: Database, folder: Path, rows: int) -> None:
    """Write the rows as the daemon does."""
    settings = OutputSettings(
        rotation=RotationPolicy(lines=max(1, rows // 10)),
        retention=Retention(count=20),
        line_format=LineFormat(),
        durable=False,
        state_dir=folder,
        dead_letters=_NoDeadLetters(),
        text_index=True,
    )
    output = TableOutput(database.url.render_as_string(hide_password=False), settings)
    output.open()
    try:
        for batch in _batches(rows):
            output.write([batch])
    finally:
        output.close()


def _analyse(database: Database) -> None:
    """Let PostgreSQL know how many rows there are, as its autovacuum does within a minute."""
    if database.url.get_backend_name() == "postgresql":
        with database.engine.connect() as connection, connection.begin():
            connection.execute(text("ANALYZE"))


class _NoDeadLetters:
    def put(self, batch: Batch, row: int, reason: str, output: str) -> None:
        raise AssertionError(f"{output} refuses {batch.msg[row]!r}: {reason}")


def _batches(rows: int) -> Iterator[Batch]:
    given = corpus.stream(corpus.POOL)
    items = [MappingProxyType({"logger": logger}) for logger in given.loggers]
    pieces = range(0, corpus.POOL, _ROWS_A_BATCH)
    places = [bytes(given.places[begin : begin + _ROWS_A_BATCH]) for begin in pieces]
    msgs = [given.msgs[begin : begin + _ROWS_A_BATCH] for begin in pieces]
    for number in range(rows // _ROWS_A_BATCH):
        first = number * _ROWS_A_BATCH
        times = [
            find_ring.START_S + (first + row) / find_ring.A_SECOND for row in range(_ROWS_A_BATCH)
        ]
        index, texts = places[number % len(places)], msgs[number % len(places)]
        if first % max(1, rows // 10) == 0:
            texts = [find_ring.RARE, *texts[1:]]
        yield Batch(
            given.contexts,
            index,
            range(first, first + _ROWS_A_BATCH),
            times,
            texts,
            ContextItems(items, index, {}),
            peer=_HOSTS[number % len(_HOSTS)],
            ts=[corpus.time_text(int(moment * 1000), "+0000") for moment in times],
            formatter=ShortNames(),
        )


def _questions(rows: int) -> Iterator[Question]:
    since, until = map(find_ring.minute_text, (rows // 2, rows // 2 + 600 * find_ring.A_SECOND))
    fields = ("minute", "cat", "site", "host", "logger")
    yield Question("10 minutes, listed", ("--since", since, "--until", until), _SERVED)
    yield Question("10 minutes, counted", ("--since", since, "--until", until, "--count"), _SERVED)
    for field in fields:
        yield Question(f"by {field}", ("--by", field), _SERVED)
    several = tuple(part for field in fields for part in ("--by", field))
    yield Question("by minute and four fields", several, _SERVED)
    yield Question("by minute, errors", ("cat:E", "--by", "minute"), _SERVED)
    yield Question("by thread, without an index", ("--by", "thread"), None)
    rare = f'"{find_ring.RARE}"'
    yield Question("rare text", (rare,), _SERVED)
    yield Question("rare text, newest", ("-r", "-n", "1", rare), _SERVED)
    yield Question("a text in no row", ("--count", '"no such zanzibar"'), _SERVED)
    yield Question("the last 5", ("-r", "-n", "5"), _SERVED)


def _answers(name: str, database: Database, rows: int, rounds: int) -> Iterator[Row]:
    address = database.url.render_as_string(hide_password=False)
    for question in _questions(rows):
        asked: list[Asked] = []
        for _ in range(rounds):
            progress(f"{name}: {question.name}")
            asked.append(ask((*QUERY, "--db", address, *question.arguments)))
        yield _row(f"{name}: {question.name}", asked, question.goal)


def _row(name: str, asked: list[Asked], goal: Goal | None) -> Row:
    cpu_s = sorted(one.cpu_s for one in asked)[len(asked) // 2]
    memory = max(one.rss_bytes for one in asked) / 2**20
    notes = f"CPU of the command {cpu_s:.2f} s, {memory:.0f} MiB, {asked[0].answer_bytes:,} bytes"
    return Row(TASK, name, [one.seconds for one in asked], "s", notes, goal)

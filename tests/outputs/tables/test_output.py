"""The output to database tables, against real databases."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Integer, String

from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.outputs.tables.output import ROWS_A_TRANSACTION
from logd.records.context import Context
from tests.outputs.table_making import Outputs, numbered

NOON = 1_790_000_000.0
CLIENT = b"0123456789abcdef"
DAY_S = 86_400.0


# -- what a row holds ----------------------------------------------------------------------------


def test_a_record_becomes_a_row_with_all_its_fields(outputs: Outputs) -> None:
    """Each field of a record is in the column of its name, special items as a JSON object."""
    outputs.opened().write([outputs.batch(1, special={0: {"user": "ann", "n": 3}})])
    (row,) = outputs.database.rows(outputs.database.prefix + "_0")
    assert json.loads(row.pop("special")) == {"user": "ann", "n": 3}
    assert row == {
        "id": 1,
        "time": NOON,
        "ts": "2026-11-22T11:10:00.123+0000",
        "cat": "E",
        "pid": 4711,
        "peer": "10.0.0.7",
        "msgid": 1,
        "msg": "message 1",
        "threadname": "MainThread",
        "tid": 140_000_000_000_001,
        "cfunc": "pay",
        "cfn": "views.py",
        "cln": 42,
        "path": "views.py(42)<-...",
    }


def test_rows_keep_the_order_of_records_over_batches(outputs: Outputs) -> None:
    """The running number `id` is in the order in which records were written."""
    output = outputs.opened()
    output.write([outputs.batch(50), outputs.batch(1, first=51)])
    output.write([outputs.batch(49, first=52)])
    assert outputs.messages() == {"0": numbered(*range(1, 101))}
    ids = [row["id"] for row in outputs.database.rows(outputs.database.prefix + "_0", "id")]
    assert ids == list(range(1, 101))


def test_hostile_text_stays_one_row(outputs: Outputs) -> None:
    """Quotes, escapes, separators of COPY, NULs and lone surrogates end up as text of one row."""
    texts = [
        "'; DROP TABLE log_0; --",
        'back\\slash "quoted" `ticked` %s %(x)s :name ?',
        "tab\tnewline\nreturn\r\\N\\.",
        "\\.",
        "nul\x00here",
        "surrogate \udc80 alone",
        "emoji \U0001f600 ünïcödé",
        "",
        "\x1b[31mred",
    ]
    special = {0: {"k\x00": "v\x00\udc80", "quote": "'\"\\"}}
    context = Context(1, 2, "t\x00\udcff'", "E\t", (("/a/\udc80\n.py", 3),), 1, "f\\")
    outputs.opened().write([outputs.batch(msgs=texts, special=special, context=context)])
    rows = outputs.database.rows(outputs.database.prefix + "_0", "id")
    stored = [text.replace("\x00", "\\x00").replace("\udc80", "\\udc80") for text in texts]
    assert [row["msg"] for row in rows] == stored
    assert {row["threadname"] for row in rows} == {"t\\x00\\udcff'"}
    assert {row["cfn"] for row in rows} == {"\\udc80\n.py"}
    assert list(json.loads(rows[0]["special"])) != []


def test_numbers_of_any_size_are_made_to_fit(outputs: Outputs) -> None:
    """An integer that no column holds becomes NULL; its record is written."""
    context = Context(2**70, -(2**63), "t", "E", (("a.py", 2**64),), 1, "f")
    batch = outputs.batch(2, context=context)
    batch.msgid = [2**63, 5]
    outputs.opened().write([batch])
    rows = outputs.database.rows(outputs.database.prefix + "_0", "id")
    assert [(row["pid"], row["tid"], row["cln"], row["msgid"]) for row in rows] == [
        (None, -(2**63), None, None),
        (None, -(2**63), None, 5),
    ]
    assert outputs.dead_letters.letters == []


def test_a_message_of_a_megabyte_is_stored_whole(outputs: Outputs) -> None:
    """Long messages are not cut: the daemon's message column has no limit of its own."""
    long = "'ü" * 500_000
    outputs.opened().write([outputs.batch(msgs=["a", long, "b"])])
    assert outputs.messages() == {"0": ["a", long, "b"]}


def test_values_longer_than_their_column_are_cut_visibly(outputs: Outputs) -> None:
    """A text that is too long for its column ends with an ellipsis."""
    context = Context(1, 2, "ü" * 200, "x" * 40, (("a.py", 1),), 1, "f" * 129)
    outputs.opened(columns=[("msg", String(10))]).write(
        [outputs.batch(msgs=["0123456789", "ü0123456789"], context=context)]
    )
    rows = outputs.database.rows(outputs.database.prefix + "_0", "id")
    assert [row["msg"] for row in rows] == ["0123456789", "ü01234567…"]
    assert rows[0]["threadname"] == "ü" * 127 + "…"
    assert rows[0]["cat"] == "x" * 31 + "…"
    assert rows[0]["cfunc"] == "f" * 127 + "…"


def test_extra_columns_are_filled_from_special(outputs: Outputs) -> None:
    """A column of the user's own holds the special item of its name, or its default."""
    columns = [("user", String(5)), ("order", Integer, {"default": -1}), ("Flag", Integer)]
    special: dict[int, dict[str, Any]] = {
        0: {"user": "ann", "order": 812, "Flag": True},
        1: {"user": "bartholomew", "order": "17"},
        3: {"user": 9, "order": 2**70, "Flag": "x"},
    }
    outputs.opened(columns=columns).write([outputs.batch(4, special=special)])
    rows = outputs.database.rows(outputs.database.prefix + "_0", "id")
    assert [(row["user"], row["order"], row["Flag"]) for row in rows] == [
        ("ann", 812, 1),
        ("bart…", 17, None),
        (None, -1, None),
        ("9", None, None),
    ]
    assert json.loads(rows[3]["special"]) == {"user": 9, "order": 2**70, "Flag": "x"}


@pytest.mark.parametrize("contexts", [1, 40, 600])
def test_every_row_has_the_values_of_its_context(outputs: Outputs, contexts: int) -> None:
    """However many places a batch's records come from, each row has its own place's values."""
    made = [
        Context(n, n, f"thread {n}", "W", ((f"f{n}.py", n),), 1, f"g{n}") for n in range(contexts)
    ]
    order = [(row * 7) % contexts for row in range(1000)]
    batch = outputs.batch(1000)
    batch.contexts, batch.index = made, order
    outputs.opened().write([batch])
    rows = outputs.database.rows(outputs.database.prefix + "_0", "id")
    got = [(row["pid"], row["threadname"], row["cfunc"], row["path"]) for row in rows]
    assert got == [(n, f"thread {n}", f"g{n}", f"f{n}.py({n})") for n in order]


# -- marks ---------------------------------------------------------------------------------------


def test_marks_are_written_with_the_records(outputs: Outputs) -> None:
    """The next open returns for each session the highest number written; forgotten ones go."""
    ann, bob = uuid.uuid4().bytes, uuid.uuid4().bytes
    output = outputs.opened()
    output.write([outputs.batch(3, client=ann), outputs.batch(2, client=bob), outputs.batch(4)])
    output.write([outputs.batch(2, client=ann, first=4)])
    output.close()
    output = outputs.make()
    assert output.open() == {ann: 5, bob: 2}
    output.forget([bob])
    output.close()
    assert outputs.make().open() == {ann: 5}


def test_marks_of_sessions_unseen_for_a_day_go(outputs: Outputs) -> None:
    """A day counts back from when any session was seen last, so that a pause forgets nothing."""
    ann, bob = uuid.uuid4().bytes, uuid.uuid4().bytes
    output = outputs.opened()
    output.write([outputs.batch(client=ann)])
    outputs.clock.now += DAY_S + 1
    output.write([outputs.batch(client=bob)])
    output.close()
    outputs.clock.now += 10 * DAY_S
    output = outputs.make()
    assert output.open() == {bob: 3}
    output.tick(outputs.clock.now + 3601)
    output.close()
    assert outputs.make().open() == {}


# -- what goes wrong at the start ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", "a database in memory loses everything"),
        ("sqlite:////proc/nowhere/logs.db", "can't create /proc/nowhere"),
        ("postgresql://nobody_here:geheim@127.0.0.1/test", "does not exist"),
        ("postgresql://postgres:geheim@127.0.0.1/no_such_base", "does not exist"),
        ("mariadb://nobody_here:geheim@127.0.0.1/test", "Access denied"),
        ("mariadb://root@127.0.0.1/no_such_base", "Unknown database"),
        ("oracle://scott:geheim@127.0.0.1/x", "database URL not understood"),
        ("geheim", "database URL not understood"),
        ("postgresql+psycopg2://u:geheim@h/x", "logd uses the driver psycopg"),
    ],
)
def test_an_unusable_address_is_one_line_without_password(
    sqlite_outputs: Outputs, url: str, expected: str
) -> None:
    """A wrong address is refused with what is wrong, never with the password."""
    with pytest.raises(OutputUnusable) as caught:
        sqlite_outputs.make(url=url).open()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_missing_driver_is_named_with_its_remedy(
    sqlite_outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without psycopg installed the refusal says how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(OutputUnusable, match=r"pip install 'logd\[postgresql\]'"):
        sqlite_outputs.make(url="postgresql://u@h/x")


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_server_that_is_down_is_unavailable(sqlite_outputs: Outputs, scheme: str) -> None:
    """Nobody listening is no reason to give up: the server may be starting."""
    with pytest.raises(OutputUnavailable):
        sqlite_outputs.make(url=f"{scheme}://u:geheim@127.0.0.1:1/x").open()


def test_a_file_that_is_no_database_is_unusable(sqlite_outputs: Outputs, tmp_path: Path) -> None:
    """A file of something else is refused and left as it is."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(OutputUnusable, match="file is not a database"):
        sqlite_outputs.make(url=f"sqlite:///{path}").open()
    assert path.read_bytes() == b"not a database" * 100


@pytest.mark.parametrize(
    "pattern", ["log", "log_%d_%d", "1log_%d", "log-%d", "log_%d; x", "x" * 60]
)
def test_a_bad_table_pattern_is_unusable(sqlite_outputs: Outputs, pattern: str) -> None:
    """Table names must be plain names with one place for the number."""
    with pytest.raises(OutputUnusable, match="table name pattern"):
        sqlite_outputs.make(pattern=pattern)


@pytest.mark.parametrize(
    "column",
    [
        ("a b", String(3)),
        ("time", String(3)),
        ("Msg", String(9)),
        ("x", str),
        ("x",),
        ('x"', Integer),
    ],
)
def test_a_bad_column_is_unusable(sqlite_outputs: Outputs, column: tuple[object, ...]) -> None:
    """Columns with impossible names or types are refused at the start."""
    with pytest.raises(OutputUnusable, match="column"):
        sqlite_outputs.make(columns=[column])


def test_the_database_file_is_not_for_everyone(sqlite_outputs: Outputs) -> None:
    """A new SQLite file, its log included, is readable by owner and group only."""
    sqlite_outputs.database.engine.dispose()
    path = Path(sqlite_outputs.database.url.removeprefix("sqlite:///")).with_name("new.db")
    sqlite_outputs.opened(url=f"sqlite:///{path}").write([sqlite_outputs.batch()])
    modes = {file.name: file.stat().st_mode & 0o007 for file in path.parent.glob("new.db*")}
    assert set(modes.values()) == {0}
    assert "new.db-wal" in modes


def test_a_large_write_is_several_transactions(outputs: Outputs) -> None:
    """More records than a transaction takes are written all the same, in order."""
    count = ROWS_A_TRANSACTION // 4 + 1
    batches = [outputs.batch(count, first=1 + number * count) for number in range(5)]
    outputs.opened().write(batches)
    assert outputs.messages() == {"0": numbered(*range(1, 5 * count + 1))}

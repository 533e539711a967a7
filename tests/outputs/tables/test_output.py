"""The output to database tables, against real databases."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Integer, String

from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.outputs.tables.output import ROWS_A_TRANSACTION
from logd.query.tables.source import TableSource
from logd.records.context import Context
from logd.rotation.policy import Schedule

if TYPE_CHECKING:
    from tests.outputs.table_making import Outputs

NOON = 1_790_000_000.0
CLIENT = b"0123456789abcdef"
DAY_S = 86_400.0


def numbered(*numbers: int) -> list[str]:
    """The messages of `make_batch` with these numbers."""
    return [f"message {number}" for number in numbers]


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


# -- the ring ------------------------------------------------------------------------------------


def test_tables_hold_exactly_the_lines_of_a_rotation(outputs: Outputs) -> None:
    """Batches are divided where a table is full, and the ring comes round to the oldest table."""
    output = outputs.opened(lines=10, count=3)
    output.write([outputs.batch(7), outputs.batch(7, first=8), outputs.batch(7, first=15)])
    assert outputs.messages() == {
        "0": numbered(*range(1, 11)),
        "1": numbered(*range(11, 21)),
        "2": numbered(21),
    }
    output.write([outputs.batch(12, first=22)])
    assert outputs.messages() == {
        "0": numbered(*range(31, 34)),
        "1": numbered(*range(11, 21)),
        "2": numbered(*range(21, 31)),
    }
    status = output.status()
    assert (status.current, status.lines) == (outputs.database.prefix + "_0", 3)
    assert (status.written, status.rotations) == (33, 3)


def test_a_batch_longer_than_the_ring_leaves_its_last_records(outputs: Outputs) -> None:
    """What one batch writes and overwrites itself need not be written at all."""
    output = outputs.opened(lines=10, count=2)
    output.write([outputs.batch(95)])
    assert outputs.messages() == {"1": numbered(*range(91, 96)), "0": numbered(*range(81, 91))}


def test_a_ring_of_one_table_starts_over(outputs: Outputs) -> None:
    """With a count of one the only table is begun anew when it is full."""
    output = outputs.opened(lines=4, count=1)
    for first in range(1, 14, 3):
        output.write([outputs.batch(3, first=first)])
    assert outputs.messages() == {"0": numbered(13, 14, 15)}


def test_a_restart_resumes_the_ring_where_it_stood(outputs: Outputs) -> None:
    """Current table, line count and running numbers go on after a restart."""
    output = outputs.opened(lines=10, count=3)
    output.write([outputs.batch(17)])
    output.close()
    output = outputs.opened(lines=10, count=3)
    assert output.status().lines == 7
    output.write([outputs.batch(5, first=18)])
    assert outputs.messages() == {
        "0": numbered(*range(1, 11)),
        "1": numbered(*range(11, 21)),
        "2": numbered(21, 22),
    }
    last = outputs.database.rows(outputs.database.prefix + "_2", "id")[-1]
    assert last["id"] == 22


def test_a_smaller_ring_drops_the_oldest_tables(
    outputs: Outputs, caplog: pytest.LogCaptureFixture
) -> None:
    """With a smaller count the newest tables stay, and what goes is said before."""
    output = outputs.opened(lines=2, count=5)
    output.write([outputs.batch(13)])
    output.close()
    output = outputs.opened(lines=2, count=2)
    prefix = outputs.database.prefix
    assert f"dropping 3 tables that the settings no longer keep (6 records): {prefix}_2" in (
        caplog.text
    )
    assert outputs.messages() == {"0": numbered(11, 12), "1": numbered(13)}
    output.write([outputs.batch(2, first=14)])
    assert outputs.messages() == {"0": numbered(15), "1": numbered(13, 14)}


def test_a_changed_pattern_takes_the_tables_along(
    outputs: Outputs, caplog: pytest.LogCaptureFixture
) -> None:
    """Tables of the pattern before are read, counted by retention and dropped in their turn."""
    prefix = outputs.database.prefix
    output = outputs.opened(lines=2, count=3)
    output.write([outputs.batch(5, client=CLIENT)])
    output.close()
    output = outputs.make(lines=2, count=3, pattern=f"{prefix}new_%d")
    assert output.open() == {CLIENT: 5}
    assert f"3 tables {prefix}_%d (5 records) belong to the log {prefix}new_%d now" in caplog.text
    output.write([outputs.batch(4, first=6)])
    source = TableSource(outputs.database.url, print, pattern=f"{prefix}new_%d")
    assert [entry.msg for entry in source.entries()] == numbered(5, 6, 7, 8, 9)
    output.write([outputs.batch(2, first=10)])
    assert [name.removeprefix(prefix) for name in outputs.database.table_names()] == [
        "new_0",
        "new_1",
        "new_2",
    ]


def test_tables_that_others_write_are_not_taken_along(
    outputs: Outputs, caplog: pytest.LogCaptureFixture
) -> None:
    """Another daemon's ring stays its own, even if it shares the state folder."""
    prefix = outputs.database.prefix
    other = outputs.opened(lines=2, count=3)
    other.write([outputs.batch(5)])
    output = outputs.opened(lines=2, count=3, pattern=f"{prefix}new_%d")
    assert f"the tables {prefix}_%d stay apart" in caplog.text
    output.write([outputs.batch(1, first=20)])
    other.write([outputs.batch(1, first=6)])
    assert len(outputs.messages()) == 4


def test_a_larger_ring_drops_nothing_too_early(outputs: Outputs) -> None:
    """With a larger count new numbers are used before the oldest table goes."""
    output = outputs.opened(lines=1, count=2)
    output.write([outputs.batch(3)])
    output.close()
    output = outputs.opened(lines=1, count=4)
    output.write([outputs.batch(2, first=4)])
    assert outputs.messages() == {
        "0": numbered(3),
        "1": numbered(2),
        "2": numbered(4),
        "3": numbered(5),
    }
    output.write([outputs.batch(1, first=6)])
    assert "message 2" not in str(outputs.messages())


def test_tables_of_others_are_taken_up_not_destroyed(outputs: Outputs) -> None:
    """Log tables that are there without a catalogue are older members of the ring."""
    prefix = outputs.database.prefix
    for number in (0, 1):
        outputs.database.run(
            f"CREATE TABLE {prefix}_{number} "
            "(pid INTEGER, ts VARCHAR(32), cat VARCHAR(1), msg VARCHAR(512))"
        )
        outputs.database.run(f"INSERT INTO {prefix}_{number} VALUES (1, '', 'E', 'old {number}')")
    output = outputs.opened(lines=2, count=3)
    output.write([outputs.batch(2)])
    assert outputs.database.rows(f"{prefix}_0")[0]["msg"] == "old 0"
    assert outputs.database.rows(f"{prefix}_1")[0]["msg"] == "old 1"
    assert [row["msg"] for row in outputs.database.rows(f"{prefix}_2", "id")] == numbered(1, 2)
    output.write([outputs.batch(1, first=3)])
    assert [row["msg"] for row in outputs.database.rows(f"{prefix}_0")] == numbered(3)


def test_tables_without_a_catalogue_are_in_the_order_of_their_records(outputs: Outputs) -> None:
    """Of a ring that had wrapped and lost its catalogue the oldest table is replaced first."""
    output = outputs.opened(lines=1, count=3)
    for number in range(1, 5):
        output.write([outputs.batch(1, first=number, start=NOON + number)])
    output.close()
    prefix = outputs.database.prefix
    outputs.database.run("DELETE FROM logd_tables WHERE ring = :ring", ring=f"{prefix}_%d")
    output = outputs.opened(lines=1, count=3)
    output.write([outputs.batch(1, first=5, start=NOON + 5)])
    assert outputs.messages() == {"0": numbered(4), "1": numbered(5), "2": numbered(3)}


def test_a_table_that_is_no_log_is_never_dropped(outputs: Outputs) -> None:
    """A table that has a name of the ring but no log in it is named in a refusal to start."""
    name = outputs.database.prefix + "_3"
    outputs.database.run(f"CREATE TABLE {name} (account INTEGER, balance INTEGER)")
    with pytest.raises(OutputUnusable, match=f"table {name} is no log table .* another table patt"):
        outputs.make().open()
    assert name in outputs.database.table_names()


def test_changed_columns_begin_a_new_table(outputs: Outputs) -> None:
    """Tables of earlier columns stay as they are; new records get a table with the new ones."""
    outputs.opened().write([outputs.batch(1)])
    outputs.close_all()
    output = outputs.opened(columns=[("user", String(10))])
    output.write([outputs.batch(1, first=2, special={0: {"user": "ann"}})])
    assert outputs.messages() == {"0": numbered(1), "1": numbered(2)}
    assert outputs.database.rows(outputs.database.prefix + "_1")[0]["user"] == "ann"


def test_a_current_table_that_someone_dropped_is_made_anew(outputs: Outputs) -> None:
    """Writing goes on after a table was dropped under the daemon; nothing is written twice."""
    output = outputs.opened()
    output.write([outputs.batch(2)])
    # On PostgreSQL the view of the whole log needs it.
    cascade = " CASCADE" if outputs.database.kind == "postgresql" else ""
    outputs.database.run(f"DROP TABLE {outputs.database.prefix}_0{cascade}")
    with pytest.raises(OutputUnavailable):
        output.write([outputs.batch(2, first=3)])
    output.write([outputs.batch(2, first=3)])
    assert list(outputs.messages().values()) == [numbered(3, 4)]


def test_rotate_goes_on_unless_the_table_is_empty(outputs: Outputs) -> None:
    """A rotation by hand begins a table; a second one at once does not begin another."""
    output = outputs.opened()
    output.write([outputs.batch(1)])
    output.rotate()
    output.rotate()
    output.write([outputs.batch(1, first=2)])
    assert outputs.messages() == {"0": numbered(1), "1": numbered(2)}


def test_a_schedule_rotates_by_the_clock(outputs: Outputs) -> None:
    """Records after a boundary go into the next table, also if the daemon was down over it."""
    daily = Schedule("daily", utc=True)
    output = outputs.opened(schedule=daily)
    output.write([outputs.batch(1)])
    output.tick(outputs.clock.now + 60)
    assert list(outputs.messages()) == ["0"]
    outputs.clock.now += DAY_S
    output.tick(outputs.clock.now)
    assert outputs.messages() == {"0": numbered(1), "1": []}
    outputs.clock.now += 5 * DAY_S
    output.tick(outputs.clock.now)
    output.write([outputs.batch(1, first=2)])
    output.close()
    outputs.clock.now += DAY_S
    output = outputs.opened(schedule=daily)
    output.write([outputs.batch(1, first=3)])
    assert outputs.messages() == {"0": numbered(1), "1": numbered(2), "2": numbered(3)}


def test_size_rotates_by_what_was_written(outputs: Outputs) -> None:
    """A table whose records take more than the limit, roughly, is followed by the next."""
    output = outputs.opened(size=2000)
    for number in range(1, 5):
        output.write([outputs.batch(msgs=["x" * 1500], first=number)])
    assert {name: len(rows) for name, rows in outputs.messages().items()} == {"0": 2, "1": 2}


def test_old_tables_go_by_age_and_total_size(outputs: Outputs) -> None:
    """Closed tables whose last record is too old, or that are too much together, are dropped."""
    output = outputs.opened(lines=1, count=None, age_s=1.5 * DAY_S, total_bytes=5000)
    for number in range(1, 4):
        output.write([outputs.batch(1, first=number)])
        outputs.clock.now += DAY_S
    output.tick(outputs.clock.now)
    assert list(outputs.messages()) == ["2"]
    output.write([outputs.batch(msgs=["x" * 4500], first=4), outputs.batch(1, first=5)])
    output.tick(outputs.clock.now)
    assert list(outputs.messages()) == ["3", "4"]
    output.write([outputs.batch(msgs=["x" * 4500], first=6)])
    assert list(outputs.messages()) == ["4", "5"]


def test_tables_named_by_date(sqlite_outputs: Outputs) -> None:
    """With naming "date" a table's name says when it was begun; two of one second differ."""
    output = sqlite_outputs.opened(
        lines=1, count=3, naming="date", schedule=Schedule("daily", utc=True)
    )
    output.write([sqlite_outputs.batch(2)])
    assert list(sqlite_outputs.messages()) == ["20260921_141320", "20260921_141320_2"]


def test_two_rings_share_a_database(outputs: Outputs) -> None:
    """Outputs of different patterns know nothing of each other's tables and marks."""
    one = outputs.opened(lines=2, pattern=outputs.database.prefix + "_a%d")
    other = outputs.opened(lines=2, pattern=outputs.database.prefix + "_b%d")
    one.write([outputs.batch(3, client=b"1" * 16)])
    other.write([outputs.batch(1, client=b"2" * 16)])
    assert set(outputs.messages()) == {"a0", "a1", "b0"}
    one.close()
    assert outputs.make(pattern=outputs.database.prefix + "_a%d").open() == {b"1" * 16: 3}


# -- what goes wrong at the start ------------------------------------------------------------------


def test_two_daemons_do_not_share_a_ring(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second daemon on the same tables is refused; once the first is gone it may have them."""
    first = outputs.opened()
    second = outputs.make()
    with monkeypatch.context() as patch:
        patch.setattr("logd.outputs.tables.connection.LOCK_WAIT_S", 0.2)
        with pytest.raises(OutputUnusable, match="another daemon writes to the tables"):
            second.open()
    first.close()
    second.open()


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

"""Rings of tables: when the next one begins, what a restart takes up, what is dropped."""

from __future__ import annotations

import pytest
from sqlalchemy import String

from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.query.tables.source import TableSource
from logd.rotation.policy import Schedule
from tests.outputs.table_making import Outputs, numbered

NOON = 1_790_000_000.0
CLIENT = b"0123456789abcdef"
DAY_S = 86_400.0


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
    assert f"the tables {prefix}_%d are not taken along" in caplog.text
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

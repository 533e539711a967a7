"""Files that follow each other: when the next one begins, and how they are called."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.base import OutputUnavailable
from logd.outputs.files import rotating
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import Retention, RotationPolicy, Schedule
from tests.outputs.files.opening import NOON, names, opened
from tests.outputs.output_making import (
    Clock,
    entries_of,
    log_files,
    make_batch,
    numbered,
)


@pytest.mark.parametrize("lines", [1, 7, 10])
def test_files_are_full_exactly(lines: int, made: list[FileOutput], tmp_path: Path) -> None:
    """A batch is divided where a file has its number of records, over restarts too."""
    for first in range(1, 100, 33):
        output = opened(made, tmp_path, rotation=RotationPolicy(lines=lines))
        output.write([numbered(first, 20), numbered(first + 20, 13)])
        output.close()
    files = log_files(tmp_path)
    counts = [len(entries_of([path])) for path in files]
    assert counts[:-1] == [lines] * (len(counts) - 1)
    assert entries_of(files) == [f"0123 record {number}" for number in range(1, 100)]


def test_files_keep_to_their_size(made: list[FileOutput], tmp_path: Path) -> None:
    """No file is larger than its limit, unless by its only record."""
    output = opened(made, tmp_path, rotation=RotationPolicy(size=500))
    output.write([numbered(1, 50), make_batch(["x" * 2000], first=51), numbered(52, 3)])
    output.close()
    files = log_files(tmp_path)
    assert entries_of(files)[-3:] == ["0123 record 52", "0123 record 53", "0123 record 54"]
    for path in files:
        assert path.stat().st_size <= 500 or len(entries_of([path])) == 1
    assert len(files) < 12


def test_ring_is_overwritten_in_turn(made: list[FileOutput], tmp_path: Path) -> None:
    """After the last number comes 0 again, and a start destroys nothing."""
    settings: dict[str, Any] = {
        "rotation": RotationPolicy(lines=5),
        "retention": Retention(count=3),
    }
    output = opened(made, tmp_path, **settings)
    output.write([numbered(1, 18)])
    output.close()
    opened(made, tmp_path, **settings).close()
    assert names(tmp_path) == ["app_0.log", "app_1.log", "app_2.log"]
    assert entries_of([tmp_path / "app_0.log"]) == [f"0123 record {n}" for n in (16, 17, 18)]
    assert [len(entries_of([path])) for path in log_files(tmp_path)] == [5, 5, 3]


def test_rotation_by_the_clock(made: list[FileOutput], tmp_path: Path) -> None:
    """At the boundary the next file begins, with or without records; an empty one stays."""
    clock = Clock(NOON)
    schedule = Schedule.parse("hourly", utc=True)
    output = opened(made, tmp_path, clock=clock, rotation=RotationPolicy(schedule=schedule))
    output.write([numbered(1, 2)])
    clock.now = schedule.next_after(NOON) - 1
    output.tick(clock.now)
    output.write([numbered(3, 2)])
    assert output.status().rotations == 0
    clock.now += 1
    output.write([numbered(5, 1)])
    assert output.status().rotations == 1
    clock.now += 7200
    output.tick(clock.now)
    output.tick(clock.now + 7200)
    assert names(tmp_path) == ["app_0.log", "app_1.log", "app_2.log"]
    assert [len(entries_of([path])) for path in log_files(tmp_path)] == [4, 1, 0]


def test_boundary_while_the_daemon_was_away(made: list[FileOutput], tmp_path: Path) -> None:
    """A file from before the boundary is closed at the first tick after the start."""
    clock = Clock(NOON)
    policy = RotationPolicy(schedule=Schedule.parse("daily 00:00", utc=True))
    output = opened(made, tmp_path, clock=clock, rotation=policy)
    output.write([numbered(1, 2)])
    output.close()
    clock.now += 100_000
    output = opened(made, tmp_path, clock=clock, rotation=policy)
    output.tick(clock.now)
    assert names(tmp_path) == ["app_0.log", "app_1.log"]


def test_names_by_date(made: list[FileOutput], tmp_path: Path) -> None:
    """Files are named by when they began; those of the same second are told apart."""
    clock = Clock(NOON)
    policy = RotationPolicy(lines=2, schedule=Schedule.parse("daily 00:00", utc=True))
    output = opened(
        made, tmp_path, clock=clock, rotation=policy, naming="date", retention=Retention(count=3)
    )
    output.write([numbered(1, 5)])
    clock.now += 60
    output.write([numbered(6, 3)])
    assert output.wait_idle()
    assert names(tmp_path) == [
        "app_20260921-141320.1.log",
        "app_20260921-141320.2.log",
        "app_20260921-141420.log",
    ]
    output.close()
    opened(made, tmp_path, clock=clock, rotation=policy, naming="date")
    assert output.name.startswith("file ")
    assert len(names(tmp_path)) == 3


def test_rotate_now(made: list[FileOutput], tmp_path: Path) -> None:
    """Asked to, the output goes on to the next file, but never from an empty one."""
    output = opened(made, tmp_path)
    output.rotate()
    output.write([numbered(1, 1)])
    output.rotate()
    output.rotate()
    assert names(tmp_path) == ["app_0.log", "app_1.log"]


def test_plain_name(made: list[FileOutput], tmp_path: Path) -> None:
    """The newest records are in `app.log`; closed files keep the name that they got."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy(lines=2))
    output.write([numbered(1, 5)])
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 5"]
    closed = [tmp_path / "app.log.1", tmp_path / "app.log.2"]
    assert entries_of(closed) == [f"0123 record {n}" for n in range(1, 5)]
    inode = closed[0].stat().st_ino
    output.write([numbered(6, 3)])
    assert closed[0].stat().st_ino == inode
    assert entries_of([tmp_path / "app.log.3"]) == ["0123 record 5", "0123 record 6"]
    assert output.status().rotations == 3


def test_plain_name_with_dates(made: list[FileOutput], tmp_path: Path) -> None:
    """A closed file is called by the day of its first record."""
    clock = Clock()
    output = opened(
        made, tmp_path, "app.log", clock=clock, naming="date", rotation=RotationPolicy(lines=9)
    )
    for number in (1, 2, 3):
        output.write([numbered(number, 1)])
        output.rotate()
        clock.now += 40_000 if number == 1 else 86_400
    day = "app-" + time.strftime("%Y-%m-%d", time.localtime(Clock().now))
    names = sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".")
    assert len(names) == 4
    assert names[-1] == "app.log"
    assert f"{day}.log" in names


def test_plain_name_goes_on_where_no_other_can_begin(
    made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no new file can be made, the current one gets its name back and nothing is lost."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy(lines=2))
    output.write([numbered(1, 2)])
    with monkeypatch.context() as patch:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(rotating, "LogFile", refuse)
        with pytest.raises(OutputUnavailable):
            output.write([numbered(3, 2)])
        assert entries_of([tmp_path / "app.log"]) == ["0123 record 1", "0123 record 2"]
    output.write([numbered(3, 2)])
    assert entries_of([tmp_path / "app.log.1"]) == ["0123 record 1", "0123 record 2"]
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 3", "0123 record 4"]


def test_plain_name_that_someone_moved(made: list[FileOutput], tmp_path: Path) -> None:
    """A rotation after `mv` begins another file and touches no name that it finds."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy(lines=2))
    output.write([numbered(1, 1)])
    (tmp_path / "app.log").rename(tmp_path / "app.log.5")
    output.write([numbered(2, 3)])
    assert entries_of([tmp_path / "app.log.5"]) == ["0123 record 1", "0123 record 2"]
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 3", "0123 record 4"]
    output.write([numbered(5, 1)])
    assert entries_of([tmp_path / "app.log.6"]) == ["0123 record 3", "0123 record 4"]

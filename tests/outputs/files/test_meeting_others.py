"""What other programs and people do to a log that is open."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from logd.outputs.base import OutputUnavailable
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import RotationPolicy
from tests.outputs.files.opening import NOON, names, opened
from tests.outputs.output_making import (
    CLIENT,
    entries_of,
    make_settings,
    numbered,
)


@pytest.mark.parametrize("how", ["replaced", "removed", "gone", "removed while writing"])
@pytest.mark.parametrize("is_durable", [True, False])
def test_folder_is_exchanged(
    how: str, is_durable: bool, made: list[FileOutput], tmp_path: Path
) -> None:
    """The log goes on where its path leads now; records that were written are not taken again."""
    logs = tmp_path / "logs"
    output = opened(made, logs, durable=is_durable)
    output.write([numbered(1, 3)])
    if how == "replaced":
        logs.rename(tmp_path / "logs.old")
    else:
        shutil.rmtree(logs)
    if how != "gone":
        logs.mkdir()
    if how == "removed while writing":
        with pytest.raises(OutputUnavailable):
            output.write([numbered(4, 1)])
    else:
        output.reopen()
    output.write([numbered(4, 1)])
    output.sync()
    assert entries_of([logs / "app_0.log"]) == ["0123 record 4"]
    if how == "replaced":
        assert len(entries_of([tmp_path / "logs.old" / "app_0.log"])) == 3
    output.close()
    made.clear()
    assert FileOutput(str(logs / "app_%d.log"), make_settings(logs)).open() == {CLIENT: 4}


def test_folder_is_exchanged_without_a_signal(made: list[FileOutput], tmp_path: Path) -> None:
    """A new folder is found within seconds; a missing one is first left to be made by others."""
    logs = tmp_path / "logs"
    output = opened(made, logs)
    output.write([numbered(1, 1)])
    logs.rename(tmp_path / "old")
    output.tick(NOON)
    assert not logs.exists()
    output.write([numbered(2, 1)])
    logs.mkdir()
    output.tick(NOON + 5)
    output.write([numbered(3, 1)])
    assert len(entries_of([tmp_path / "old" / "app_0.log"])) == 2
    assert len(entries_of([logs / "app_0.log"])) == 1
    shutil.rmtree(logs)
    output.tick(NOON + 10)
    output.tick(NOON + 15)
    output.write([numbered(4, 1)])
    assert len(entries_of([logs / "app_0.log"])) == 1


def test_logrotate_create(made: list[FileOutput], tmp_path: Path) -> None:
    """After `mv` the old file is written until `reopen`, then a new one under the old name."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy())
    output.write([numbered(1, 2)])
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    output.write([numbered(3, 1)])
    output.reopen()
    output.write([numbered(4, 1)])
    output.sync()
    output.rotate()
    assert len(entries_of([tmp_path / "app.log.1"])) == 3
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 4"]
    assert output.status().lines == 1


def test_logrotate_copytruncate(made: list[FileOutput], tmp_path: Path) -> None:
    """After a truncation by someone else writing goes on at the new end, with new counts."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=5))
    output.write([numbered(1, 4)])
    os.truncate(tmp_path / "app_0.log", 0)
    output.write([numbered(5, 3)])
    assert entries_of([tmp_path / "app_0.log"]) == [f"0123 record {n}" for n in (5, 6, 7)]
    assert output.status().lines == 3


def test_removed_file_is_begun_anew(made: list[FileOutput], tmp_path: Path) -> None:
    """A file that someone removed is made again for the next records."""
    output = opened(made, tmp_path)
    output.write([numbered(1, 4)])
    (tmp_path / "app_0.log").unlink()
    output.write([numbered(5, 1)])
    assert entries_of([tmp_path / "app_0.log"]) == ["0123 record 5"]


def test_lines_of_others_are_kept(made: list[FileOutput], tmp_path: Path) -> None:
    """What someone else appends stays; half a line of theirs gets its end."""
    output = opened(made, tmp_path)
    output.write([numbered(1, 1)])
    with (tmp_path / "app_0.log").open("a") as file:
        file.write("half a line")
    output.write([numbered(2, 1)])
    output.close()
    with (tmp_path / "app_0.log").open("a") as file:
        file.write("once more")
    output = opened(made, tmp_path)
    output.write([numbered(3, 1)])
    lines = (tmp_path / "app_0.log").read_text().splitlines()
    assert len(lines) == 5
    assert lines[1] == "half a line"
    assert lines[3] == "once more"


def test_log_without_a_journal_is_taken_up(made: list[FileOutput], tmp_path: Path) -> None:
    """The newest file goes on; its entries are counted, continued lines not."""
    (tmp_path / "app_0.log").write_text("a\n" * 9)
    (tmp_path / "app_1.log").write_text("entry\n  | more\n  | more\nentry\nentry without end")
    os.utime(tmp_path / "app_0.log", (1000, 1000))
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=4))
    assert output.status().lines == 3
    output.write([numbered(1, 2)])
    assert names(tmp_path) == ["app_0.log", "app_1.log", "app_2.log"]
    assert len((tmp_path / "app_1.log").read_text().splitlines()) == 6

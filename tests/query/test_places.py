"""From settings to sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.query import open_source
from logd.query.source import CannotRead
from logd.settings.table import Config
from tests.query.log_making import Notes, numbers, records, write_log


def test_the_first_that_can_be_read(tmp_path: Path) -> None:
    """Of several outputs the first one that has a log is read."""
    write_log(tmp_path / "b_%d.log", records(1, 3))
    config = Config(
        file=(str(tmp_path / "a_%d.log"), str(tmp_path / "b_%d.log")),
        db=(f"sqlite:///{tmp_path}/none.db",),
    )
    source = open_source(config, Notes())
    assert source.name == f"file {tmp_path}/b_%d.log"
    assert numbers(source.entries()) == [1, 2, 3]


def test_settings_that_nobody_has_set(tmp_path: Path) -> None:
    """The daemon may have had other options: then files tell by their names."""
    write_log(tmp_path / "app_%d.log", records(1, 75), lines=5, count=12)
    config = Config(file=(str(tmp_path / "app_%d.log"),))
    kept = list(range(16, 76))
    assert numbers(open_source(config, Notes(), unset={"rotate_count"}).entries()) == kept
    known = Config(file=config.file, rotate_count=12)
    assert numbers(open_source(known, Notes()).entries()) == kept


def test_nothing_to_read(tmp_path: Path) -> None:
    """It is said where was looked."""
    with pytest.raises(CannotRead, match=f"there is no file {tmp_path}/a_%d.log"):
        open_source(Config(file=(f"{tmp_path}/a_%d.log",)), Notes())
    with pytest.raises(CannotRead, match="no file and no database"):
        open_source(Config(stdout=True), Notes())

"""A log of files in the hands of people: changed settings, files removed beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.files.output import FileOutput
from logd.query.files.source import FileSource
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.output_making import CLIENT, Clock, make_settings, numbered


@contextmanager
def log(folder: Path, count: int | None, **changes: Any) -> Iterator[FileOutput]:
    """An open log with 10 records a file."""
    settings = make_settings(
        folder,
        rotation=RotationPolicy(lines=10),
        retention=Retention(count=count),
        durable=changes.pop("durable", False),
        **changes,
    )
    output = FileOutput(str(folder / "app_%d.log"), settings, clock=Clock())
    output.open()
    assert output.wait_idle()
    try:
        yield output
        assert output.wait_idle()
    finally:
        output.close()


def kept(folder: Path) -> list[int]:
    """The records that readers find, in their order."""
    source = FileSource(str(folder / "app_%d.log"), print)
    return [int(entry.msg.split()[-1]) for entry in source.entries()]


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("naming", ["ring", "date"])
@pytest.mark.parametrize("is_restored", [False, True])
def test_smaller_ring_keeps_the_newest(
    naming: str, compress: str, is_restored: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a ring made smaller the oldest files go, and what goes is said before."""
    with log(tmp_path, 10, naming=naming, compress=compress) as output:
        output.write([numbered(1, 75)])
    if is_restored:
        for number, path in enumerate(sorted(tmp_path.glob("app_*"), reverse=True)):
            os.utime(path, (number, number))
    with log(tmp_path, 3, naming=naming, compress=compress):
        text = next(r.getMessage() for r in caplog.records if "no longer keep" in r.message)
    assert kept(tmp_path) == [*range(51, 76)]
    assert "removing 5 files" in text
    assert "50 records" in text
    assert all(name in text for name in ("app_0.log", "app_4.log") if naming == "ring")


def test_removed_in_turn_after_a_change_of_size(tmp_path: Path) -> None:
    """A ring made smaller, then larger, goes on to overwrite the oldest."""
    with log(tmp_path, 8) as output:
        output.write([numbered(1, 95)])
    with log(tmp_path, 4) as output:
        output.write([numbered(96, 10)])
        assert output.wait_idle()
        assert kept(tmp_path) == [*range(71, 106)]
    with log(tmp_path, 6) as output:
        for first in range(106, 206, 10):
            output.write([numbered(first, 10)])
            assert output.wait_idle()
            oldest = max(71, (first + 9 - 1) // 10 * 10 - 49)
            assert kept(tmp_path) == [*range(oldest, first + 10)]


def test_larger_ring_uses_free_places(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A ring that had wrapped and is made larger loses nothing until it is full."""
    with log(tmp_path, 3) as output:
        output.write([numbered(1, 35)])
    with log(tmp_path, 10) as output:
        output.write([numbered(36, 65)])
        assert kept(tmp_path) == [*range(11, 101)]
        output.write([numbered(101, 20)])
        assert output.wait_idle()
        assert kept(tmp_path) == [*range(21, 121)]
    assert "no longer keep" not in caplog.text


@pytest.mark.parametrize(("before", "after"), [("ring", "date"), ("date", "ring")])
@pytest.mark.parametrize("has_journal", [True, False])
def test_other_naming_is_the_same_log(
    before: str, after: str, has_journal: bool, tmp_path: Path
) -> None:
    """Files named otherwise are found by readers, counted by retention and removed in turn."""
    with log(tmp_path, 3, naming=before) as output:
        output.write([numbered(1, 30)])
    if not has_journal:
        files = sorted(tmp_path.glob("app_*"), key=lambda path: (len(path.name), path.name))
        for second, path in enumerate(files):
            os.utime(path, (second, second))
        (tmp_path / ".app_%d.log.journal").unlink()
    with log(tmp_path, 3, naming=after, compress="gzip") as output:
        assert kept(tmp_path) == [*range(1, 31)]
        output.write([numbered(31, 10)])
        assert output.wait_idle()
        assert kept(tmp_path) == [*range(11, 41)]
        output.write([numbered(41, 40)])
    assert kept(tmp_path) == [*range(51, 81)]
    assert len(list(tmp_path.glob("app_*"))) == 3


def test_file_put_into_a_free_place_is_spared(tmp_path: Path) -> None:
    """A file that someone restored where the ring was going to write is not overwritten."""
    with log(tmp_path, 5) as output:
        output.write([numbered(1, 15)])
        (tmp_path / "app_2.log.gz").write_bytes(b"restored")
        output.write([numbered(16, 10)])
        assert (tmp_path / "app_2.log.gz").read_bytes() == b"restored"
        assert (tmp_path / "app_3.log").exists()


@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("is_moved", [True, False])
def test_journal_taken_away_while_running(
    is_durable: bool, is_moved: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A journal that was removed or moved is made anew: after a crash the marks are there."""
    journal = tmp_path / ".app_%d.log.journal"
    with log(tmp_path, 9, durable=is_durable) as output:
        output.write([numbered(1, 25)])
        if is_moved:
            journal.rename(tmp_path / "moved")
            output.tick(10.0)
        else:
            journal.unlink()
        output.write([numbered(26, 1)])
        assert "journal was removed" in caplog.text
        assert kept(tmp_path) == [*range(1, 27)]
        # What the next start of a killed daemon finds.
        copy = tmp_path / "copy"
        copy.mkdir()
        for path in tmp_path.glob("app_*"):
            (copy / path.name).hardlink_to(path)
        (copy / journal.name).write_bytes(journal.read_bytes())
    again = FileOutput(str(copy / "app_%d.log"), make_settings(copy), clock=Clock())
    assert again.open() == {CLIENT: 26}
    again.close()


def test_lock_taken_away_while_running(tmp_path: Path) -> None:
    """A lock file that was removed is made anew, so that no second daemon comes in."""
    with log(tmp_path, 9) as output:
        (tmp_path / ".app_%d.log.lock").unlink()
        output.tick(10.0)
        with pytest.raises(Exception, match="is writing these files"), log(tmp_path, 9):
            pass

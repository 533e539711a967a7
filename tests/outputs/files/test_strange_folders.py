"""Folders as people leave them: names that something else has, copies, names that are long."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.base import OutputUnusable
from logd.outputs.files.compression import Kind, compress_file
from logd.outputs.files.names import parse_pattern
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.files.opening import names
from tests.outputs.files.opening import opened as opened_as
from tests.outputs.files.test_inodes import JOURNAL, kept, on_another_boot, opened
from tests.outputs.output_making import numbered


def a_folder(path: Path) -> None:
    """Something inside, which nobody but its owner may touch."""
    path.mkdir()
    (path / "precious").write_text("mine")


def a_link(path: Path) -> None:
    """To something of somebody else."""
    (path.parent / "elsewhere").write_text("mine")
    path.symlink_to("elsewhere")


def a_pipe(path: Path) -> None:
    """Whoever opens it waits."""
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_folder, a_link, a_pipe])
@pytest.mark.parametrize("name", ["app_1.log", "app_1.log.gz"])
@pytest.mark.parametrize("when", ["before", "later"])
def test_a_place_of_the_ring_that_something_else_has(
    make: Callable[[Path], None], name: str, when: str, tmp_path: Path
) -> None:
    """It keeps its name and all that is in it; the ring does without the place."""
    strange = tmp_path / name
    if when == "before":
        make(strange)
    output = opened(tmp_path, retention=Retention(count=3))
    if when == "later":
        make(strange)
    kind = strange.lstat().st_mode
    for first in range(1, 91, 10):
        output.write([numbered(first, 10)])
    assert output.wait_idle()
    output.close()
    assert strange.lstat().st_mode == kind
    assert not list(tmp_path.glob(".*.trash"))
    assert kept(tmp_path)[-20:] == [*range(71, 91)]
    output = opened(tmp_path, retention=Retention(count=3))
    output.write([numbered(91, 1)])
    output.close()
    assert strange.lstat().st_mode == kind


@pytest.mark.parametrize("naming", ["ring", "date"])
def test_a_copied_folder_on_another_machine(naming: str, tmp_path: Path) -> None:
    """Nothing of it is set aside: all its files have other inodes, the oldest one, too."""
    folder, copy = tmp_path / "logs", tmp_path / "copy"
    output = opened(folder, retention=Retention(count=3), naming=naming)
    output.write([numbered(1, 45)])
    output.sync()
    assert output.wait_idle()
    shutil.copytree(folder, copy)
    output.close()
    on_another_boot(copy / JOURNAL)
    output = opened(copy, retention=Retention(count=3), naming=naming)
    output.write([numbered(46, 1)])
    output.close()
    assert kept(copy) == [*range(21, 47)]
    assert not [name for name in names(copy) if "torn" in name]


def test_a_name_that_leaves_no_room_for_others(tmp_path: Path) -> None:
    """It is refused at the start, not at the first rotation."""

    def parsed(size: int) -> None:
        pattern = str(tmp_path / ("x" * (size - 7) + "_%d.log"))
        parse_pattern(pattern, naming="ring", count=3, rotates=True, utc=True)

    parsed(200)
    for size in (201, 300):
        with pytest.raises(OutputUnusable, match="more than 200 bytes"):
            parsed(size)


@pytest.mark.parametrize(
    ("first", "second", "are_alike"),
    [
        ("app_%d.log", "app_1%d.log", True),
        ("app_%d.log", "app_%Y%m%d.log", True),
        ("app_%d.log", "app_%03d.log", True),
        ("app.log", "app.log.%d", True),
        ("app_%d.log", "app_err_%d.log", False),
        ("app_%d.log", "app.log", False),
        ("a_%d.log", "b_%d.log", False),
    ],
)
def test_two_logs_with_names_in_common(
    first: str, second: str, are_alike: bool, made: list[FileOutput], tmp_path: Path
) -> None:
    """The one that comes later is refused, for each would remove files of the other."""

    def begun(pattern: str) -> FileOutput:
        settings: dict[str, Any] = {"naming": "date"} if "%Y" in pattern else {}
        return opened_as(
            made,
            tmp_path,
            pattern,
            retention=Retention(count=2),
            rotation=RotationPolicy(lines=5),
            **settings,
        )

    for one, other in ((first, second), (second, first)):
        output = begun(one)
        if are_alike:
            with pytest.raises(OutputUnusable, match="names of this one's"):
                begun(other)
        else:
            begun(other).close()
        output.close()
        # What is not in use harms nobody, nor is it harmed.
        begun(other).close()
        for path in tmp_path.iterdir():
            path.unlink()


def test_locks_of_others_are_no_logs(made: list[FileOutput], tmp_path: Path) -> None:
    """Whatever hidden locks are there, a log begins beside them."""
    for name in (".lock", ".%x.lock", ".app_%q.lock", ".~lock.report.odt#.lock"):
        (tmp_path / name).touch()
    opened_as(made, tmp_path).write([numbered(1, 1)])


@pytest.mark.parametrize("is_overwritten", [False, True])
def test_overwritten_while_it_is_compressed(
    is_overwritten: bool,
    made: list[FileOutput],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is said of a file that is gone; of one that can't be compressed something is."""
    output = opened_as(
        made,
        tmp_path,
        compress="gzip",
        retention=Retention(count=2),
        rotation=RotationPolicy(lines=5),
    )

    tried: list[str] = []

    def fail(folder: int, name: str, kind: Kind, is_wanted: Callable[[], bool]) -> str:
        tried.append(name)
        if is_overwritten and len(tried) > 1:
            return compress_file(folder, name, kind, is_wanted)
        if is_overwritten:
            output.write([numbered(7, 10)])
        raise OSError("read back, the compressed form holds something else")

    monkeypatch.setattr("logd.outputs.files.janitor.compress_file", fail)
    output.write([numbered(1, 6)])
    assert output.wait_idle()
    assert ("app_0.log stays uncompressed" in caplog.text) != is_overwritten

"""The folder that a daemon works in is removed: before its start, or while it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from logd.daemon.workingfolder import relative_settings
from logd.settings.table import Config
from logd_client import createClientLog
from tests.daemon_process import DaemonProcess, running

REMOVED = (
    "import os, runpy, sys; os.rmdir(os.getcwd()); sys.argv = sys.argv[2:]; "
    "runpy.run_module('logd', run_name='__main__', alter_sys=True)"
)
"""Runs `-m logd` in a folder that is gone."""


def started_in_removed(folder: Path, *options: str) -> DaemonProcess:
    """A daemon whose folder is removed before it is started."""
    folder.mkdir()
    return DaemonProcess(*options, folder=folder, python_options=("-c", REMOVED))


@pytest.mark.parametrize(
    "options",
    [("--file", "app_%d.log"), ("--db", "sqlite:///a.db", "--state-dir", "/tmp"), ()],
    ids=["file", "database", "default"],
)
def test_relative_paths_need_it(options: tuple[str, ...], tmp_path: Path) -> None:
    """A start in a removed folder ends with one line that says what to do."""
    daemon = started_in_removed(tmp_path / "gone", *options)
    assert daemon.wait() == 1
    assert "its path starts in the working folder, which was removed" in daemon.lines[-1]
    assert "Traceback" not in daemon.output
    assert not list(tmp_path.iterdir())


def test_whole_paths_do_not_need_it(tmp_path: Path) -> None:
    """With all paths from / on a daemon starts there and works."""
    daemon = started_in_removed(tmp_path / "gone", "--file", str(tmp_path / "app_%d.log"))
    daemon.wait_ready()
    with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
        assert log("there", sync=60)
    assert daemon.stop() == 0
    assert "there" in (tmp_path / "app_0.log").read_text()
    assert "Traceback" not in daemon.output


def test_it_is_removed_while_the_daemon_runs(tmp_path: Path) -> None:
    """It is made again, with all that comes from then on; nothing ends with a traceback."""
    folder = tmp_path / "work"
    folder.mkdir()
    with running("--file", "app_%d.log", folder=folder) as daemon:
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("before", sync=60)
            shutil.rmtree(folder)
            daemon.wait_line("the working folder .* was removed, and is made again")
            assert log("after", sync=60)
        assert daemon.stop() == 0
    assert "Traceback" not in daemon.output
    assert "after" in "".join(path.read_text() for path in folder.glob("app_*.log"))


def test_which_settings_need_it() -> None:
    """Paths of files, databases, sockets and the state folder; not those from / on."""
    whole = Config(file=("/var//log/a_%d.log",), db=("sqlite:////a.db",), control="/run/c")
    assert list(relative_settings(whole)) == []
    some = Config(file=("a_%d.log",), db=("sqlite:///a.db",), control="c")
    assert {*relative_settings(some)} == {"file", "db", "control", "state_dir"}
    assert list(relative_settings(Config(db=("postgresql://h/logs",)))) == ["state_dir"]

"""Files: who may read them, and what others may have put in their place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon_process import READY_S, DaemonProcess, running
from tests.hostile.attack import GoodSender, until

SECRET = "not ours"


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o640), (0o077, 0o600), (0o000, 0o640)])
def test_files_are_for_their_owner_and_group(umask: int, expected: int, tmp_path: Path) -> None:
    """Log, journal, lock, database and dead letters are 0640 at most, folders 0750."""
    before = os.umask(umask)
    try:
        options = ("--file", "logs/a_%d.log", "--db", "sqlite:///data/log.db")
        with running(*options, "--rotate-lines", "2", folder=tmp_path) as daemon:
            with GoodSender(daemon.port) as good:
                for number in range(5):
                    good.send(str(number))
            found = {path.name: mode(path) for path in (tmp_path / "logs").iterdir()}
            database = {path.name: mode(path) for path in (tmp_path / "data").iterdir()}
            assert daemon.stop() == 0
    finally:
        os.umask(before)
    folder = expected | 0o110 if umask != 0o077 else 0o700
    assert found.pop(".logd-state") == folder
    assert mode(tmp_path / "logs") == folder
    assert {"a_0.log", "a_1.log", "a_2.log", ".a_%d.log.journal", ".a_%d.log.lock"} <= set(found)
    assert set(found.values()) == {expected}
    assert "log.db" in database
    assert set(database.values()) == {expected}


def fails_to_start(*options: str, folder: Path) -> str:
    """What a daemon says that does not start."""
    daemon = DaemonProcess(*options, folder=folder)
    try:
        assert daemon.wait(READY_S) in (1, 2), daemon.output
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
    assert "Traceback" not in daemon.output
    return daemon.output


LINK = "a link"
PIPE = "a pipe"
FOLDER = "a folder"


def plant(kind: str, path: Path, victim: Path) -> None:
    """Put something in the place of a file of ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == LINK:
        path.symlink_to(victim)
    elif kind == PIPE:
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of somebody else that a link may lead to."""
    path = tmp_path / "victim"
    path.write_text(SECRET)
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("kind", [LINK, PIPE, FOLDER])
@pytest.mark.parametrize("name", ["logd_0.log", ".logd_%d.log.journal", ".logd_%d.log.lock"])
def test_what_is_planted_in_the_log_folder_is_not_written_through(
    name: str, kind: str, victim: Path, tmp_path: Path
) -> None:
    """The daemon does not start, at once and with the name of what is in the way."""
    plant(kind, tmp_path / "logs" / name, victim)
    said = fails_to_start(folder=tmp_path)
    assert name in said
    assert victim.read_text() == SECRET


@pytest.mark.parametrize("kind", [LINK, PIPE])
def test_a_planted_successor_is_passed_over(kind: str, victim: Path, tmp_path: Path) -> None:
    """What is where the next file of the ring should be stays there: the one after it is next."""
    plant(kind, tmp_path / "logs/logd_1.log", victim)
    plant(kind, tmp_path / "logs/.logd_%d.log.journal.new", victim)
    with running("--rotate-lines", "3", folder=tmp_path) as daemon:
        with GoodSender(daemon.port) as good:
            for number in range(5):
                good.send(f"record {number}")
        assert daemon.stop() == 0
    assert victim.read_text() == SECRET
    assert mode(victim) == 0o644
    assert not stat.S_ISREG((tmp_path / "logs/logd_1.log").lstat().st_mode)
    written = [(tmp_path / f"logs/logd_{number}.log").read_text() for number in (0, 2)]
    assert "".join(written).count("record") == 5


def test_a_link_planted_while_it_runs_is_not_followed(victim: Path, tmp_path: Path) -> None:
    """Exchanging the current file for a link and asking to reopen it does not help."""
    import signal

    with running(folder=tmp_path) as daemon, GoodSender(daemon.port) as good:
        good.send("before")
        current = tmp_path / "logs/logd_0.log"
        current.unlink()
        current.symlink_to(victim)
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("SIGHUP")
        # Whether it goes on writing to the old file or waits: not through the link.
        good.peer.sock.settimeout(2.0)
        try:
            good.send("after")
        except TimeoutError:
            current.unlink()
            good.peer.sock.settimeout(60.0)
            good.peer.wait_acked(2)
        assert victim.read_text() == SECRET


def test_links_among_the_closed_files_are_left_alone(victim: Path, tmp_path: Path) -> None:
    """Retention and compression neither read nor remove what a link leads to."""
    plant(LINK, tmp_path / "logs/logd_7.log", victim)
    options = ("--rotate-lines", "2", "--compress", "gzip", "--keep-age-s", "1 s")
    with running(*options, folder=tmp_path) as daemon:
        with GoodSender(daemon.port) as good:
            for number in range(6):
                good.send(str(number))
        until(lambda: bool(list((tmp_path / "logs").glob("*.gz"))), "compressed")
        assert daemon.stop() == 0
    assert victim.read_text() == SECRET
    assert not (tmp_path / "logs/logd_7.log.gz").exists()


def test_a_database_is_not_written_through_a_link(victim: Path, tmp_path: Path) -> None:
    """Not even one that leads nowhere yet."""
    for target in (victim, tmp_path / "made by us"):
        path = tmp_path / "log.db"
        path.symlink_to(target)
        assert "log.db is not a file" in fails_to_start("--db", "sqlite:///log.db", folder=tmp_path)
        path.unlink()
    assert victim.read_text() == SECRET
    assert not (tmp_path / "made by us").exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda path, elsewhere: path.symlink_to(elsewhere),
        lambda path, elsewhere: (path.mkdir(), os.chown(path, 12345, -1)),
    ],
    ids=["a link", "a stranger's"],
)
def test_a_planted_state_folder_is_not_used(
    make: Callable[[Path, Path], object], tmp_path: Path
) -> None:
    """Dead letters and spools do not go into a folder that somebody else made beside the log."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of somebody else")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "logs").mkdir()
    make(tmp_path / "logs/.logd-state", elsewhere)
    assert "name a folder of this daemon's own" in fails_to_start(folder=tmp_path)
    with running("--state-dir", elsewhere, folder=tmp_path) as daemon:
        assert daemon.stop() == 0


@pytest.mark.parametrize(
    "pattern",
    ["../%d/log", "a%d/b.log", "logs/..", "logs/", "%s/%d.log", "a_%d_%d.log", "a\n%d.log"],
)
def test_patterns_cannot_leave_their_folder(pattern: str, tmp_path: Path) -> None:
    """Number and date stand in the last part of the path only; a bad pattern is told at once."""
    working = tmp_path / "working"
    working.mkdir()
    said = fails_to_start("--file", pattern, folder=working)
    assert "expected" in said or "must be in the last part" in said
    assert [path.name for path in tmp_path.iterdir()] == ["working"]


@pytest.mark.parametrize(
    "setting",
    [
        ("--table-pattern", 'log"; DROP TABLE x; --%d'),
        ("--table-pattern", "log_%d\n"),
        ("--table-pattern", "log"),
        ("--columns", 'a" TEXT, b:Integer'),
        ("--columns", "user:String(64); DROP TABLE x"),
        ("--columns", "user:Blob"),
    ],
)
def test_names_of_tables_and_columns_are_checked(setting: tuple[str, str], tmp_path: Path) -> None:
    """What goes into SQL as a name is letters, digits and underscores."""
    daemon = DaemonProcess(*setting, "--db", "sqlite:///log.db", folder=tmp_path)
    assert daemon.wait() == 2
    assert "Traceback" not in daemon.output
    assert not (tmp_path / "log.db").exists()

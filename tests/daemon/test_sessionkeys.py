"""What sessions are called where they rest."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from logd.daemon.sessionkeys import FILE, KEY_BYTES, SessionKeys, session_keys
from logd.errors import StartupError
from tests.daemon_process import running
from tests.hostile.attack import Peer, batch, opening, plain

ANN = os.urandom(16)


def test_a_daemon_keeps_its_key(tmp_path: Path) -> None:
    """The same client is called the same after a restart, and otherwise by another daemon."""
    first, again = session_keys(tmp_path), session_keys(tmp_path)
    assert first.of(ANN) == again.of(ANN) != SessionKeys().of(ANN)
    assert len(first.of(ANN)) == 16
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_name_opens_nothing() -> None:
    """Who knows what a session is called does not know the id that opens it."""
    keys = SessionKeys()
    assert keys.of(keys.of(ANN)) != keys.of(ANN)
    assert keys.marks({keys.of(ANN): 5}) == {keys.of(ANN): 5}


def test_marks_of_earlier_versions_are_read() -> None:
    """Ids that rest as they are go on under their names; the higher number counts."""
    keys = SessionKeys()
    spool = b"spool:0123456789"
    assert keys.marks({ANN: 5, keys.of(ANN): 7, spool: 1}) == {keys.of(ANN): 7, spool: 1}
    assert keys.marks({keys.of(ANN): 7, ANN: 9}) == {keys.of(ANN): 9}


@pytest.mark.parametrize("kind", ["short", "link", "folder"])
def test_a_key_of_someone_elses_making_is_not_used(kind: str, tmp_path: Path) -> None:
    """What is no key ends the start with a line that names the file."""
    path = tmp_path / FILE
    if kind == "short":
        path.write_bytes(b"x")
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(StartupError, match=FILE):
        session_keys(tmp_path)


def test_a_key_that_was_not_finished(tmp_path: Path) -> None:
    """What a daemon of the same number left when it was killed, as in a container, is no key."""
    (tmp_path / f".{FILE}.{os.getpid()}").write_bytes(b"half a key")
    keys = session_keys(tmp_path)
    assert keys.is_new
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (session_keys(tmp_path).key, session_keys(tmp_path).is_new) == (keys.key, False)


def test_two_daemons_make_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started at once with one state folder, both use the key that was there first."""
    hardlink_to = Path.hardlink_to
    others: list[bytes] = []

    def other_is_first(path: Path, target: Path) -> None:
        if not others:
            others.append(b"x" * KEY_BYTES)
            path.write_bytes(others[0])
        hardlink_to(path, target)

    monkeypatch.setattr(Path, "hardlink_to", other_is_first)
    assert session_keys(tmp_path).key == session_keys(tmp_path).key == b"x" * KEY_BYTES


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_disk_that_refuses(
    call: str, is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that may be gone after the machine's death is not used; the next start may have one."""
    if is_there:
        session_keys(tmp_path)

    def refuse(*_arguments: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, call, refuse)
        with pytest.raises(StartupError, match="Input/output error"):
            session_keys(tmp_path)
    assert len(session_keys(tmp_path).key) == KEY_BYTES
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_file_system_that_can_not_sync_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor link, as some shares: a key is made all the same."""
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    def refuse(_path: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fsync", refuse_folders)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert session_keys(tmp_path).key == session_keys(tmp_path).key


def test_a_state_folder_that_is_lost_is_told_of(tmp_path: Path) -> None:
    """The log knows sessions under the key that was there: they are counted at the start."""
    options = ("--file", "logs/logd_%d.log", "--state-dir", "state")
    with running(*options, folder=tmp_path) as daemon:
        with Peer(daemon.port) as ann:
            assert ann.send(opening(ANN)).answer() == 0
            ann.send(batch("one", 1)).wait_acked(1)
        daemon.stop()
    shutil.rmtree(tmp_path / "state")
    with running(*options, folder=tmp_path) as daemon:
        daemon.wait_line(r"session.key was missing.*: the log has 1 sessions by the former")
        assert daemon.stop() == 0
    with running(*options, folder=tmp_path) as daemon:
        assert daemon.stop() == 0
        assert "was missing" not in daemon.output


def test_ids_rest_nowhere_and_sessions_go_on(tmp_path: Path) -> None:
    """No file holds a client's id; after a restart the client goes on, a stranger does not."""
    options = ("--file", "logs/logd_%d.log", "--db", "sqlite:///log.db")
    with running(*options, folder=tmp_path) as daemon:
        with Peer(daemon.port) as ann:
            assert ann.send(opening(ANN)).answer() == 0
            ann.send(batch("one", 1)).wait_acked(1)
        daemon.kill()
    names = [path for path in tmp_path.rglob("*") if path.is_file()]
    texts = b"".join(path.read_bytes() for path in names)
    assert ANN not in texts
    assert ANN.hex().encode() not in texts
    with running(*options, folder=tmp_path) as daemon:
        with Peer(daemon.port) as ann:
            assert ann.send(opening(ANN)).answer() == 1
            ann.send(batch("one", 1), batch("two", 2)).wait_acked(2)
        assert daemon.stop() == 0
        assert [daemon.log_text().count(text) for text in ("one", "two")] == [1, 1]


def test_a_living_session_is_not_taken_over(tmp_path: Path) -> None:
    """Another peer with the same id is cut off and told of; the same peer may come again."""
    with running(folder=tmp_path) as daemon:
        with (
            Peer(daemon.port) as ann,
            Peer(daemon.port, source="127.0.0.9") as stranger,
            Peer(daemon.port) as again,
        ):
            assert ann.send(opening(ANN)).answer() == 0
            stranger.send(opening(ANN), batch("stolen", 1)).wait_closed()
            daemon.wait_line("127.0.0.9:.*its session is open from 127.0.0.1")
            ann.send(batch("mine", 1)).wait_acked(1)
            assert again.send(opening(ANN)).answer() == 1
            ann.wait_closed()
            daemon.wait_line("its session was opened again from 127.0.0.1")
            again.send(batch("two", 2)).wait_acked(2)
        with Peer(daemon.port) as other:
            other.send(plain("end")).end()
        assert daemon.stop() == 0
        assert "stolen" not in daemon.log_text()

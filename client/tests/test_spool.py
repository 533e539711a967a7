"""Spools: what is not acknowledged survives the app, and is delivered exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer
from hypothesis import given, settings
from hypothesis import strategies as st

from logd_client import createClientLog
from logd_client.session import Context, Entry, encode_batches
from logd_client.spool import Spool, open_leftovers

SOURCES = str(Path(__file__).parent.parent)
CONTEXT = Context((1, 2, "t", "E", (), 0, ""))
CLIENT = b"s" * 16

APP = """
import sys
from logd_client import createClientLog
port, spool, first, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log = createClientLog("127.0.0.1", (port,), spool=spool, exit_timeout_s=60.0)
for n in range(first, first + count):
    log(str(n))
sender = log.server._sender
while not sender.buffer.is_empty or sender._session.next_sequence <= count:
    pass
print("spooled", flush=True)
sys.stdin.read()
"""


def start_app(port: int, spool: Path, first: int, count: int) -> subprocess.Popen[str]:
    """An app that has logged and holds its records in the spool; ends when stdin does."""
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(port), str(spool), str(first), str(count)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert app.stdout is not None
    assert app.stdout.readline() == "spooled\n"
    return app


def end_app(app: subprocess.Popen[str], *, kill: bool = False) -> None:
    """Let an app end, or kill it."""
    if kill:
        app.send_signal(signal.SIGKILL)
    app.communicate(timeout=60)


def folders(spool: Path) -> list[Path]:
    """The sessions in a spool directory."""
    return sorted(spool.iterdir())


def entries(count: int, first: int = 1, size: int = 10) -> list[Entry]:
    """Batches of one record each."""
    return [
        entry
        for n in range(first, first + count)
        for entry in encode_batches(n, [(CONTEXT, n, 1.0, str(n) + " " * size, ())])
    ]


def test_a_killed_app_is_continued_by_the_next(tmp_path: Path, server: AckServer) -> None:
    """Records of an app that was killed while the server was away arrive from its successor."""
    app = start_app(1, tmp_path, 0, 1000)
    end_app(app, kill=True)
    assert len(folders(tmp_path)) == 1
    log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path)
    server.wait_for_records(1000)
    log("new", sync=60)
    texts = server.texts
    assert [t for t in texts if t != "new"] == [str(n) for n in range(1000)]
    assert len(server.marks) == 2
    assert log.close(60)
    assert folders(tmp_path) == []


def test_what_was_acknowledged_is_not_sent_again(tmp_path: Path, server: AckServer) -> None:
    """An app killed after delivery leaves nothing to deliver, even to a server without marks."""
    app = start_app(server.port, tmp_path, 0, 100)
    server.wait_for_records(100)
    end_app(app)
    assert folders(tmp_path) == []
    app = start_app(server.port, tmp_path, 100, 100)
    server.wait_for_records(200)
    wait_until_acknowledged(tmp_path, 100)
    end_app(app, kill=True)
    server.marks.clear()
    log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path)
    log("end", sync=60)
    assert log.close(60)
    assert server.texts == [*[str(n) for n in range(200)], "end"]


def wait_until_acknowledged(spool: Path, sequence: int) -> None:
    """Wait until the only session in a spool has noted that acknowledgement."""
    (folder,) = folders(spool)
    deadline = time.monotonic() + 60
    while int.from_bytes((folder / "state").read_bytes()[-8:], "big") < sequence:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_stored_but_not_acknowledged_is_not_repeated(tmp_path: Path, server: AckServer) -> None:
    """The server recognises what the killed app had sent: same id, same numbers."""
    server.acknowledges.clear()
    app = start_app(server.port, tmp_path, 0, 100)
    server.wait_for_records(100)
    end_app(app, kill=True)
    server.acknowledges.set()
    log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path)
    server.wait(lambda: len(server.openings) >= 2)
    deadline = time.monotonic() + 60
    while len(folders(tmp_path)) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert log.close(60)
    assert folders(tmp_path) == []
    assert server.texts == [str(n) for n in range(100)]


def test_two_living_apps_share_no_file(tmp_path: Path, server: AckServer) -> None:
    """An app that starts while another lives leaves the other's folder alone."""
    one = start_app(1, tmp_path, 0, 10)
    two = start_app(1, tmp_path, 10, 10)
    assert len(folders(tmp_path)) == 2
    assert list(open_leftovers(tmp_path)) == []
    end_app(one, kill=True)
    end_app(two, kill=True)
    log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path)
    server.wait_for_records(20)
    log.close()
    assert sorted(int(t) for t in server.texts) == list(range(20))


def test_an_exit_without_a_server_leaves_all_in_the_spool(
    tmp_path: Path, server: AckServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a spool, an end while the server is away loses nothing and says nothing."""
    app = start_app(1, tmp_path, 0, 10)
    end_app(app)
    assert capfd.readouterr().err == ""
    log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path)
    server.wait_for_records(10)
    log.close()


def test_a_forked_child_leaves_the_parents_spool_alone(tmp_path: Path, server: AckServer) -> None:
    """A child has a folder of its own, and the parent's stays locked and whole."""
    log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path)
    log("parent", sync=60)
    child = os.fork()
    if child == 0:
        log("child")
        os._exit(0 if log.flush(60) and len(folders(tmp_path)) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    log("parent again", sync=60)
    assert log.close(60)
    assert server.texts == ["parent", "child", "parent again"]


def test_a_full_spool_leaves_records_in_the_buffer(tmp_path: Path) -> None:
    """Beyond `spool_bytes` the buffer's policy applies; what is in the spool is kept."""
    log = createClientLog(
        "127.0.0.1",
        (1,),
        spool=tmp_path,
        spool_bytes=20_000,
        buffer_bytes=20_000,
        block_timeout_s=0.5,
        errorHandler="silent",
        exit_timeout_s=0,
    )
    while not log.server.lost:
        log("m" * 100)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.batches"))
    assert 10_000 < size < 60_000
    log.close()
    (spool,) = open_leftovers(tmp_path)
    assert spool.read_entries()
    spool.close(remove=False)


def test_an_unusable_directory_is_an_error_at_once(tmp_path: Path) -> None:
    """A spool that can't be made is told when the client is made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        createClientLog("127.0.0.1", (1,), spool=tmp_path / "file")


def test_a_disk_that_refuses_keeps_records_in_memory(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the spool can't be written, records are delivered from memory, and it is told."""
    problems: list[str] = []

    class Handler:
        def handleException(self, e: BaseException) -> None:
            problems.append(str(e))

    server.acknowledges.clear()
    log = createClientLog(
        "127.0.0.1", (server.port,), spool=tmp_path, errorHandler=Handler(), exit_timeout_s=0
    )
    log("1")
    server.wait_for_records(1)
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if len(data) > 8:
            real(fd, data[:7], offset)
            raise OSError(28, "No space left on device")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    log("2")
    server.wait_for_records(2)
    monkeypatch.setattr(os, "pwrite", real)
    log("3")
    server.wait_for_records(3)
    assert problems == ["[Errno 28] No space left on device"]
    (segment,) = tmp_path.rglob("*.batches")
    assert b"3" not in segment.read_bytes()[-12:]
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    log("4")
    assert log.flush(60)
    assert server.texts == list("1234")
    assert log.close(60)


def made_spool(directory: Path, *batches: Entry) -> bytes:
    """A spool with those batches, left by a process that is gone; returns the file's bytes."""
    spool = Spool.create(directory, CLIENT)
    for entry in batches:
        spool.store(entry)
    spool.close(remove=False)
    data: bytes = next(directory.rglob("*.batches")).read_bytes()
    return data


def adopted(directory: Path) -> tuple[list[int], list[bytes]]:
    """What the next process finds: the numbers and the frames."""
    (spool,) = open_leftovers(directory)
    found = spool.read_entries()
    frames = [spool.load(entry.frame, entry.size) for entry in found]
    assert spool.client_id == CLIENT
    spool.close(remove=True)
    return [entry.first for entry in found], frames


def test_entries_are_found_again(tmp_path: Path) -> None:
    """What was stored is loaded byte for byte, by its writer and by its heir."""
    batches = entries(5)
    spool = Spool.create(tmp_path, CLIENT)
    stored = [spool.store(entry) for entry in batches]
    assert [spool.load(e.frame, e.size) for e in stored] == [e.frame for e in batches]
    assert (tmp_path / CLIENT.hex()).stat().st_mode & 0o777 == 0o700
    spool.acknowledge(2)
    spool.close(remove=False)
    assert adopted(tmp_path) == ([3, 4, 5], [e.frame for e in batches[2:]])
    assert folders(tmp_path) == []


def test_acknowledged_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries spread over several files, and files go once all in them is acknowledged."""
    monkeypatch.setattr("logd_client.spool._SEGMENT_BYTES", 1000)
    spool = Spool.create(tmp_path, CLIENT)
    for entry in entries(30, size=200):
        spool.store(entry)
    files = len(list(tmp_path.rglob("*.batches")))
    assert files > 5
    spool.acknowledge(20)
    assert len(list(tmp_path.rglob("*.batches"))) < files
    assert spool.size == sum(path.stat().st_size for path in tmp_path.rglob("*.batches"))
    spool.close(remove=False)
    assert adopted(tmp_path)[0] == list(range(21, 31))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400))
def test_a_torn_end_is_left_out(tmp_path_factory: Any, cut: int) -> None:
    """A file cut anywhere gives the entries before the cut, whole."""
    directory = tmp_path_factory.mktemp("spool")
    batches = entries(4)
    data = made_spool(directory, *batches)
    end = max(0, len(data) - cut)
    os.truncate(next(directory.rglob("*.batches")), end)
    size = len(data) // 4
    whole = end // size
    assert adopted(directory) == ([1, 2, 3, 4][:whole], [e.frame for e in batches[:whole]])


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_damage_is_noticed(tmp_path_factory: Any, position: int, bit: int) -> None:
    """A flipped bit anywhere ends the reading before its entry; nothing damaged is sent."""
    directory = tmp_path_factory.mktemp("spool")
    batches = entries(4)
    data = bytearray(made_spool(directory, *batches))
    position %= len(data)
    data[position] ^= 1 << bit
    next(directory.rglob("*.batches")).write_bytes(data)
    whole = position // (len(data) // 4)
    assert adopted(directory) == ([1, 2, 3, 4][:whole], [e.frame for e in batches[:whole]])


def test_other_things_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    """Files and folders that are no spool are not touched."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "state").write_bytes(b"logd")
    assert list(open_leftovers(tmp_path)) == []
    assert list(open_leftovers(tmp_path / "missing")) == []
    assert len(folders(tmp_path)) == 3

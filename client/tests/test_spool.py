"""Spools: what is not acknowledged survives the app, and is delivered exactly once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ack_server import AckServer
from delivery import Problems
from spools import SOURCES, adopted, end_app, folders

from logd_client import bind, createClientLog
from logd_client.spool import open_leftovers

APP = """
import sys
from logd_client import bind, createClientLog
port, spool, first, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
log = createClientLog("127.0.0.1", (port,), spool=spool, exit_timeout_s=60.0)
for n in range(first, first + count):
    log(str(n))
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
    while int.from_bytes((folder / "state").read_bytes()[32:40], "big") < sequence:
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
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.rows"))
    assert 20_000 < size < 70_000
    log.close()
    assert adopted(tmp_path)[0]


def test_an_unusable_directory_is_an_error_at_once(tmp_path: Path) -> None:
    """A spool that can't be made is told when the client is made."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        createClientLog("127.0.0.1", (1,), spool=tmp_path / "file")


def test_a_disk_that_refuses_keeps_records_in_memory(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that no file takes are delivered from memory, again if the connection breaks."""
    problems = Problems()

    def full(fd: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    server.acknowledges.clear()
    with monkeypatch.context() as patch:
        patch.setattr("logd_client.journalfile._fill", full)
        patch.setattr("logd_client.rowjournal._RETRY_S", 60.0)
        log = createClientLog(
            "127.0.0.1", (server.port,), spool=tmp_path, errorHandler=problems, exit_timeout_s=0
        )
        for text in ("1", "2"):
            log(text)
        server.wait_for_records(2)
    assert problems.texts == ["[Errno 28] No space left on device"]
    log.server._sender.buffer.journal._retry_at = 0.0
    log("third")
    server.wait_for_records(3)
    (file,) = tmp_path.rglob("*.rows")
    assert b"third" in file.read_bytes()
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    assert server.texts == ["1", "2", "third"]
    assert log.close(60)


def test_what_an_outage_left_is_read_back(tmp_path: Path, server: AckServer) -> None:
    """More than is kept in memory is sent from the files, each record once and in order."""
    server.acknowledges.clear()
    log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path, exit_timeout_s=60.0)
    with bind(price=1.5):
        for n in range(30_000):
            log(f"{n} {'x' * 100}")
    server.wait_for_records(30_000)
    server.marks.clear()
    server.records.clear()
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)  # `close` waits for no server that is away if there is a spool
    assert log.close(60)
    assert server.texts == [f"{n} {'x' * 100}" for n in range(30_000)]
    assert {tuple(record[4].items()) for record in server.records} == {(("price", 1.5),)}
    assert folders(tmp_path) == []


def test_a_living_process_adopts_what_others_leave_later(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of processes that end while this one lives are delivered and go, again and again."""
    monkeypatch.setattr("logd_client.leftovers._ROUND_S", 0.05)
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path)
    log("own", sync=60)
    for first in (0, 10):
        # Its server is away: what it logged is here only.
        end_app(start_app(1, tmp_path, first, 10), kill=True)
        server.wait_for_records(1 + first + 10)
    deadline = time.monotonic() + 60
    while len(folders(tmp_path)) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert log.close(60)
    assert server.texts == ["own", *[str(n) for n in range(20)]]


def test_a_short_process_adopts_all(tmp_path: Path, server: AckServer) -> None:
    """A process that ends at once sends what all dead ones left first, as far as its time goes."""
    for first in range(0, 80, 10):
        end_app(start_app(1, tmp_path, first, 10), kill=True)
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path, exit_timeout_s=60.0)
    log("own", sync=60)
    log.server.let_go()
    assert sorted(server.texts) == sorted(["own", *[str(n) for n in range(80)]])
    assert folders(tmp_path) == []


def test_a_forked_child_adopts_too(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server whose first process does not log, the children send what others left."""
    monkeypatch.setattr("logd_client.leftovers._ROUND_S", 0.05)
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path)
    child = os.fork()
    if child == 0:
        log("child", sync=60)
        end_app(start_app(1, tmp_path, 0, 10), kill=True)
        deadline = time.monotonic() + 60
        while len(folders(tmp_path)) > 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        os._exit(len(folders(tmp_path)) != 2)
    assert os.waitpid(child, 0)[1] == 0
    assert log.close(60)
    assert sorted(server.texts) == sorted(["child", *[str(n) for n in range(10)]])


def test_an_idle_spool_takes_kilobytes(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst is stored and nothing more is logged, the files are small again."""
    monkeypatch.setattr("logd_client.leftovers._ROUND_S", 0.05)

    def used() -> int:
        found = 0
        for path in tmp_path.rglob("*"):
            try:
                found += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:  # gone meanwhile
                pass
        return found

    log = createClientLog("127.0.0.1", server.port, spool=tmp_path)
    assert used() < 20_000
    log("one", sync=60)
    assert used() < 40_000
    for n in range(50_000):
        log(f"{n} {'x' * 100}")
    assert log.flush(60)
    deadline = time.monotonic() + 60
    while used() > 100_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for n in range(100):
        log(str(n))
    assert log.close(60)
    assert len(server.records) == 50_101
    assert folders(tmp_path) == []


def test_other_things_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    """Files and folders that are no spool are not touched."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "state").write_bytes(b"logd")
    assert list(open_leftovers(tmp_path)) == []
    assert list(open_leftovers(tmp_path / "missing")) == []
    assert len(folders(tmp_path)) == 3

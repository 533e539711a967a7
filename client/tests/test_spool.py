"""Spools: what is not acknowledged survives the app, and is delivered exactly once."""

from __future__ import annotations

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer, decode_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from logd_client import bind, createClientLog
from logd_client.encoding import encode_batches
from logd_client.mappedfile import MappedFile
from logd_client.records import AnyRow, Context, EncodedBatch
from logd_client.rowjournal import RowJournal
from logd_client.rows import NumberedRows
from logd_client.spool import Spool, open_leftovers
from logd_client.spoolreader import LeftRecords

SOURCES = str(Path(__file__).parent.parent)
CONTEXT = Context((1, 2, "t", "E", (), 0, ""))
CLIENT = b"s" * 16

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


def end_app(app: subprocess.Popen[str], *, kill: bool = False) -> None:
    """Let an app end, or kill it."""
    if kill:
        app.send_signal(signal.SIGKILL)
    app.communicate(timeout=60)


def folders(spool: Path) -> list[Path]:
    """The sessions in a spool directory."""
    return sorted(spool.iterdir())


def rows(count: int, first: int = 1) -> list[AnyRow]:
    """Records whose message ids are their numbers."""
    return [(CONTEXT, n, 1.0, f"{n} {'x' * 10}", ()) for n in range(first, first + count)]


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
    problems: list[str] = []

    class Handler:
        def handleException(self, e: BaseException) -> None:
            problems.append(str(e))

    def full(fd: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    server.acknowledges.clear()
    with monkeypatch.context() as patch:
        patch.setattr("logd_client.journalfile._fill", full)
        patch.setattr("logd_client.rowjournal._RETRY_S", 60.0)
        log = createClientLog(
            "127.0.0.1", (server.port,), spool=tmp_path, errorHandler=Handler(), exit_timeout_s=0
        )
        for text in ("1", "2"):
            log(text)
        server.wait_for_records(2)
    assert problems == ["[Errno 28] No space left on device"]
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
    assert log.close(60)
    assert server.texts == [f"{n} {'x' * 100}" for n in range(30_000)]
    assert {tuple(record[4].items()) for record in server.records} == {(("price", 1.5),)}
    assert folders(tmp_path) == []


def made_spool(directory: Path, given: list[AnyRow], acked: int = 0) -> Path:
    """A spool with those records, left by a process that is gone; returns its file."""
    spool = Spool.create(directory, CLIENT)

    def report(exc: BaseException) -> None:
        raise exc

    journal = RowJournal(lambda: spool.folder, 1 << 20, report)
    waiting = NumberedRows()
    waiting.extend(given)
    journal.write(waiting)
    journal.close()
    spool.acknowledge(acked)
    spool.close(remove=False)
    (path,) = directory.rglob("*.rows")
    return path


def adopted(directory: Path) -> tuple[list[int], int]:
    """Message ids of what the next process finds, and how many are lost; then the folder goes."""
    (spool,) = open_leftovers(directory)
    assert spool.client_id in (CLIENT, bytes.fromhex(spool.folder.name))
    left = LeftRecords(spool.folder, spool.acked, "damaged")
    found: list[int] = []
    last = spool.acked
    for entry in [entry for run in left.runs() for entry in run]:
        told = decode_batch(pickle.loads(entry.frame[4:]))
        missing = told[0][4].get("lost", 0)
        assert last is None or entry.first == last + max(1, missing)
        last = entry.last
        found += [record[0] for record in told if not missing]
    spool.damaged = left.damaged
    spool.close(remove=True)
    return found, left.lost


def test_records_are_found_again(tmp_path: Path) -> None:
    """An heir has what was not acknowledged, and then the folder goes."""
    made_spool(tmp_path, rows(5), acked=2)
    assert (tmp_path / CLIENT.hex()).stat().st_mode & 0o777 == 0o700
    assert adopted(tmp_path) == ([3, 4, 5], 0)
    assert folders(tmp_path) == []


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_record(tmp_path_factory: Any, position: int, bit: int) -> None:
    """All others are sent, a word stands in its place, and the damaged file is kept."""
    directory = tmp_path_factory.mktemp("spool")
    path = made_spool(directory, rows(4))
    data = bytearray(path.read_bytes())
    size = (data.rindex(b"x") + 1 - 16) // 4
    position %= 3 * size
    data[16 + position] ^= 1 << bit
    path.write_bytes(data)
    lost = position // size + 1
    assert adopted(directory) == ([n for n in (1, 2, 3, 4) if n != lost], 1)
    assert [one.name for one in folders(directory)] == [f"damaged-{CLIENT.hex()}-{path.name}"]


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 43), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_state_costs_nothing(
    tmp_path_factory: Any, position: int, bit: int
) -> None:
    """Whatever is damaged in the state file, the entries are found under their client id."""
    directory = tmp_path_factory.mktemp("spool")
    made_spool(directory, rows(4))
    path = next(directory.rglob("state"))
    data = bytearray(path.read_bytes())
    assert len(data) == 44
    data[position] ^= 1 << bit
    path.write_bytes(data)
    assert adopted(directory) == ([1, 2, 3, 4], 0)


# What earlier versions left.


def old_batches(folder: Path, entries: list[EncodedBatch]) -> Path:
    """A file of batches as they wrote it beside the rows."""
    path = folder / f"{entries[0].first:020d}.batches"
    data = b""
    for entry in entries:
        checked = struct.pack(">QI", entry.first, entry.records) + entry.frame
        data += struct.pack(">II", entry.size, zlib.crc32(checked)) + checked
    path.write_bytes(data)
    return path


def old_entries(count: int, first: int = 1) -> list[EncodedBatch]:
    """Batches of two records each."""
    return [
        entry for n in range(first, first + count, 2) for entry in encode_batches(n, rows(2, n))
    ]


def test_a_state_without_a_checksum_is_believed(tmp_path: Path) -> None:
    """As early versions wrote it; and once it was read it has one."""
    made_spool(tmp_path, rows(4))
    path = next(tmp_path.rglob("state"))
    path.write_bytes(path.read_bytes()[:32] + (2).to_bytes(8, "big"))
    (spool,) = open_leftovers(tmp_path)
    spool.close(remove=False)
    assert path.stat().st_size == 44
    assert adopted(tmp_path) == ([3, 4], 0)


def test_batches_of_earlier_versions_are_sent(tmp_path: Path, server: AckServer) -> None:
    """With the rows that were in no batch yet, each record once, and the folder goes."""
    folder = made_spool(tmp_path, rows(30), acked=3).parent
    old_batches(folder, old_entries(10))
    old_batches(folder, old_entries(10, 11))
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path)
    server.wait_for_records(27)
    assert log.close(60)
    assert [record[0] for record in server.records] == list(range(4, 31))
    assert folders(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_batch_is_left_out(tmp_path: Path, cut: int) -> None:
    """The end of a file that a kill cut off is no damage."""
    folder = made_spool(tmp_path, rows(1)).parent
    path = old_batches(folder, old_entries(10))
    os.truncate(path, path.stat().st_size - cut)
    assert adopted(tmp_path) == (list(range(1, 9)), 0)
    assert folders(tmp_path) == []


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_batch(tmp_path_factory: Any, position: int, bit: int) -> None:
    """All behind it is sent, and the file is kept."""
    directory = tmp_path_factory.mktemp("spool")
    path = old_batches(made_spool(directory, rows(1)).parent, old_entries(8))
    data = bytearray(path.read_bytes())
    size = len(data) // 4
    position = size + position % (2 * size)
    data[position] ^= 1 << bit
    path.write_bytes(data)
    gone = position // size * 2
    wanted = [n for n in range(1, 9) if n not in (gone + 1, gone + 2)]
    assert adopted(directory) == (wanted, 2)
    assert [one.name for one in folders(directory)] == [f"damaged-{CLIENT.hex()}-{path.name}"]


def test_damage_is_told_and_read_around(tmp_path: Path, server: AckServer) -> None:
    """With a damaged batch in the midst, the log has all others, and says how many are missing."""
    path = made_spool(tmp_path, rows(100))
    data = bytearray(path.read_bytes())
    data[data.index(b"50 ")] ^= 1
    path.write_bytes(data)
    problems: list[str] = []
    told = threading.Event()

    class Handler:
        def handleException(self, e: BaseException) -> None:
            problems.append(str(e))
            told.set()

    log = createClientLog("127.0.0.1", server.port, spool=tmp_path, errorHandler=Handler())
    assert told.wait(60)
    assert log.close(60)
    texts = [record[2].removesuffix(" xxxxxxxxxx") for record in server.records]
    notice = f"1 record lost: the spool {path.parent} was damaged"
    assert texts == [*[str(n) for n in range(1, 50)], notice, *[str(n) for n in range(51, 101)]]
    assert server.records[49][4] == {"lost": 1}
    kept = tmp_path / f"damaged-{CLIENT.hex()}-{path.name}"
    assert problems == [
        f"spool {path.parent}: 1 record(s) lost; the damaged files are kept: {kept}"
    ]
    assert folders(tmp_path) == [kept]
    assert kept.read_bytes() == bytes(data)


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


# Apps that close descriptors which are not theirs.

CLOSER = """
import os, sys
from logd_client import createClientLog
log = createClientLog("127.0.0.1", 1, spool=sys.argv[1], errorHandler="silent")
log("before")
os.closerange(3, 256)
log("after")
print("closed", flush=True)
os.read(0, 1)
"""

HEIR = """
import sys
from logd_client.spool import open_leftovers
spools = list(open_leftovers(sys.argv[1]))
print(len(spools), flush=True)
sys.stdin.read()
for spool in spools:
    spool.close(remove=True)
"""


def start(code: str, spool: Path) -> subprocess.Popen[str]:
    """A program with a spool."""
    return subprocess.Popen(
        [sys.executable, "-c", code, str(spool)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(app: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert app.stdout is not None
    return app.stdout.readline().strip()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a map does not hold the lock")
def test_the_lock_outlives_its_descriptor(tmp_path: Path, server: AckServer) -> None:
    """The folder of a living app that closed all descriptors is nobody else's."""
    app = start(CLOSER, tmp_path)
    assert line_of(app) == "closed"
    assert list(open_leftovers(tmp_path)) == []
    end_app(app, kill=True)
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path)
    server.wait_for_records(2)
    assert log.close(60)
    assert server.texts == ["before", "after"]
    assert folders(tmp_path) == []


def test_a_closed_lock_is_no_invitation_for_oneself(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process never adopts its own folder, whatever became of the lock."""
    log = createClientLog("127.0.0.1", 1, spool=tmp_path, exit_timeout_s=0.0)
    log("1")
    give_up_lock(log)
    assert list(open_leftovers(tmp_path)) == []
    log.close()


def give_up_lock(log: Any) -> None:
    """What closing its descriptor does on a file system that a map does not keep it open on."""
    spool = log.server._sender._courier.store._spool
    number = os.open(spool.folder / "state", os.O_RDWR)
    spool._state.close()
    spool._state = MappedFile(number, 44)
    os.close(number)
    spool._lock.close()


def test_a_folder_that_another_process_got_is_left(tmp_path: Path, server: AckServer) -> None:
    """The app goes on in a new folder, with all that is not stored, and says so."""
    problems: list[str] = []

    class Handler:
        def handleException(self, e: BaseException) -> None:
            problems.append(str(e))

    log = createClientLog(
        "127.0.0.1", 1, spool=tmp_path, errorHandler=Handler(), exit_timeout_s=0.0
    )
    for n in range(3000):
        log(f"{n} {'x' * 50}")
    (old,) = folders(tmp_path)
    give_up_lock(log)
    heir = start(HEIR, tmp_path)
    assert line_of(heir) == "1"
    log.server._sender.buffer.shrink_journal()
    (new,) = [folder for folder in folders(tmp_path) if folder != old]
    text = f"spool {old}: another process has it, for the app closed its lock"
    assert f"{text}; this one goes on in {new}" in problems
    log("last")
    end_app(heir)
    assert folders(tmp_path) == [new]
    log.close()
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path)
    server.wait_for_records(3001)
    assert log.close(60)
    assert [text.split()[0] for text in server.texts] == [*[str(n) for n in range(3000)], "last"]
    assert folders(tmp_path) == []


def test_a_lock_that_nobody_took_is_taken_again(tmp_path: Path) -> None:
    """Then nothing changes."""
    log = createClientLog("127.0.0.1", 1, spool=tmp_path, exit_timeout_s=0.0)
    log("1")
    give_up_lock(log)
    log.server._sender.buffer.shrink_journal()
    assert len(folders(tmp_path)) == 1
    heir = start(HEIR, tmp_path)
    assert line_of(heir) == "0"
    end_app(heir)
    log.close()

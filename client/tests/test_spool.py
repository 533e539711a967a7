"""Spools: what is not acknowledged survives the app, and is delivered exactly once."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer, decode_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from logd_client import createClientLog
from logd_client.session import Context, Entry, encode_batches
from logd_client.spool import Spool, open_leftovers
from logd_client.spoolreader import SpoolPosition

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
while not sender.buffer.is_empty or sender._courier.session.next_sequence <= count:
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
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.batches"))
    assert 10_000 < size < 60_000
    log.close()
    (spool,) = open_leftovers(tmp_path)
    assert spool.read_left().runs
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
    log("third")
    server.wait_for_records(3)
    assert problems == ["[Errno 28] No space left on device"]
    (segment,) = tmp_path.rglob("*.batches")
    assert b"third" not in segment.read_bytes()
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    log("4")
    assert log.flush(60)
    assert server.texts == ["1", "2", "third", "4"]
    assert log.close(60)


def made_spool(directory: Path, *batches: Entry) -> bytes:
    """A spool with those batches, left by a process that is gone; returns the file's bytes."""
    spool = Spool.create(directory, CLIENT)
    for entry in batches:
        spool.store(entry)
    spool.close(remove=False)
    data: bytes = next(directory.rglob("*.batches")).read_bytes()
    return data


def runs_of(directory: Path) -> tuple[list[list[Entry]], int]:
    """What the next process finds, with all frames loaded, and how much is lost; then it goes."""
    (spool,) = open_leftovers(directory)
    left = spool.read_left()
    assert spool.client_id == CLIENT
    runs = [
        [
            entry._replace(frame=spool.load(entry.frame, entry.size))
            if isinstance(entry.frame, SpoolPosition)
            else entry
            for entry in run
        ]
        for run in left.runs
    ]
    spool.close(remove=True)
    return runs, left.lost


def adopted(directory: Path) -> tuple[list[int], list[bytes]]:
    """The numbers and the frames of what the next process finds, which is all that was there."""
    runs, lost = runs_of(directory)
    assert lost == 0
    found = [entry for run in runs for entry in run]
    return [entry.first for entry in found], [entry.frame for entry in found]


def check_runs(runs: list[list[Entry]], lost: int, batches: list[Entry]) -> set[int]:
    """Whole batches are as they were, what is missing is told; returns the missing numbers."""
    frames = {entry.first: entry.frame for entry in batches}
    missing: set[int] = set()
    last = 0
    for run in runs:
        if run[0].first > last + 1 or run[0].frame != frames[run[0].first]:
            told = decode_batch(pickle.loads(run[0].frame[4:]))[0][4]["lost"]
            missing |= set(range(last + 1, run[0].first + 1))
            assert told == run[0].first - last
            run = run[1:]
        assert [entry.frame for entry in run] == [frames[entry.first] for entry in run]
        last = run[-1].last if run else max(missing)
    assert len(missing) == lost
    return missing


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
@given(cut=st.integers(1, 400))
def test_a_torn_end_is_left_out(tmp_path_factory: Any, cut: int) -> None:
    """A file cut anywhere gives the entries before the cut, whole, and a word about the end."""
    directory = tmp_path_factory.mktemp("spool")
    batches = entries(4)
    data = made_spool(directory, *batches)
    end = max(0, len(data) - cut)
    os.truncate(next(directory.rglob("*.batches")), end)
    size = len(data) // 4
    runs, lost = runs_of(directory)
    missing = check_runs(runs, lost, batches)
    assert missing == ({end // size + 1} if end % size else set())
    assert folders(directory) == []


@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_entry(tmp_path_factory: Any, position: int, bit: int) -> None:
    """A flipped bit anywhere costs its own entry; all behind it is sent, and the file is kept."""
    directory = tmp_path_factory.mktemp("spool")
    batches = entries(4)
    data = bytearray(made_spool(directory, *batches))
    position %= len(data)
    data[position] ^= 1 << bit
    path = next(directory.rglob("*.batches"))
    path.write_bytes(data)
    runs, lost = runs_of(directory)
    assert check_runs(runs, lost, batches) == {position // (len(data) // 4) + 1}
    # A length that was made longer looks like a write that was cut off.
    is_torn = position % (len(data) // 4) < 4 and position // (len(data) // 4) == 3
    kept = [one.name for one in folders(directory)]
    assert kept == [f"damaged-{CLIENT.hex()}-{path.name}"] or (is_torn and kept == [])


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 43), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_state_costs_nothing(
    tmp_path_factory: Any, position: int, bit: int
) -> None:
    """Whatever is damaged in the state file, the entries are found under their client id."""
    directory = tmp_path_factory.mktemp("spool")
    batches = entries(4)
    made_spool(directory, *batches)
    path = next(directory.rglob("state"))
    data = bytearray(path.read_bytes())
    assert len(data) == 44
    data[position] ^= 1 << bit
    path.write_bytes(data)
    assert adopted(directory) == ([1, 2, 3, 4], [entry.frame for entry in batches])


def test_spools_of_early_versions_are_delivered(tmp_path: Path) -> None:
    """A state file without a checksum is believed."""
    batches = entries(4)
    made_spool(tmp_path, *batches)
    path = next(tmp_path.rglob("state"))
    path.write_bytes(path.read_bytes()[:32] + (2).to_bytes(8, "big"))
    assert adopted(tmp_path) == ([3, 4], [entry.frame for entry in batches[2:]])


def test_damage_is_told_and_read_around(tmp_path: Path, server: AckServer) -> None:
    """With a damaged batch in the midst, the log has all others, and says how many are missing."""
    made_spool(tmp_path, *entries(100))
    path = next(tmp_path.rglob("*.batches"))
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
    texts = [record[2].strip() for record in server.records]
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

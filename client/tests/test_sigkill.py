"""A spool and SIGKILL: nothing is lost, not even the last record before it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ack_server import AckServer
from delivery import Problems

from logd_client import createClientLog
from logd_client.sizes import BATCH_BYTES

SOURCES = str(Path(__file__).parent.parent)
BOUND = 2_000_000

PRELUDE = """
import mmap, os, signal, struct, sys, threading, time
from logd_client import createClientLog
port, spool = int(sys.argv[1]), sys.argv[2]
log = createClientLog("127.0.0.1", (port,), spool=spool, exit_timeout_s=60.0)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""

COUNTED = """
counts = mmap.mmap(os.open(sys.argv[3], os.O_RDWR), 64)
print("started", flush=True)
def work(thread):
    n = 0
    while True:
        log(f"{thread} {n}")
        n += 1
        struct.pack_into("q", counts, 8 * thread, n)
for thread in range(1, int(sys.argv[4])):
    threading.Thread(target=work, args=(thread,)).start()
work(0)
"""

ADOPTER = """
while len(os.listdir(spool)) > 1:
    time.sleep(0.001)
"""


def start(code: str, port: int, spool: Path, *options: str) -> subprocess.Popen[str]:
    """A program that logs with a spool."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(port), str(spool), *options],
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdout=subprocess.PIPE,
        text=True,
    )


def run_to_death(code: str, port: int, spool: Path) -> None:
    """A program that ends itself by SIGKILL."""
    process = start(code, port, spool)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def adopt(server: AckServer, spool: Path) -> None:
    """Let a new process deliver what dead ones left, all of it."""
    adopter = start(ADOPTER, server.port, spool)
    adopter.communicate(timeout=60)
    assert adopter.returncode == 0
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("count", [1, 17, 30_000])
def test_a_sigkill_right_after_the_last_call_loses_nothing(
    tmp_path: Path, server: AckServer, count: int, is_up: bool
) -> None:
    """All that was passed to `log()` arrives once, in order, with the server there or away."""
    code = f"for n in range({count}): log(str(n))\ndie()"
    run_to_death(code, server.port if is_up else 1, tmp_path)
    adopt(server, tmp_path)
    assert server.texts == [str(n) for n in range(count)]


def test_contexts_items_and_odd_texts_survive(tmp_path: Path, server: AckServer) -> None:
    """A record from the journal is what the application logged, to the type of each item."""
    code = (
        "def charge():\n"
        "    items = {'a': True, 'b': 1, 'c': 0.5, 'd': None, 'e': '€'}\n"
        "    log('\\ud800 € \\0', 'E', special=items)\n"
        "    die()\n"
        "charge()"
    )
    run_to_death(code, 1, tmp_path)
    adopt(server, tmp_path)
    ((msgid, when, msg, context, special),) = server.records
    assert (msgid, msg) == (1, "\ud800 € \0")
    assert time.time() - 600 < when <= time.time()
    assert context[2:4] == ("MainThread", "E")
    assert [name for name, _ in context[4]] == ["<string>", "<string>"]
    assert context[6] == "charge"
    assert repr(special) == "{'a': True, 'b': 1, 'c': 0.5, 'd': None, 'e': '€'}"


def test_a_huge_message_survives_as_far_as_a_frame_can_take_it(
    tmp_path: Path, server: AckServer
) -> None:
    """What no frame takes is cut visibly, in the journal as elsewhere."""
    run_to_death("log('x' * 3_000_000)\nlog('y' * 900_000)\ndie()", 1, tmp_path)
    adopt(server, tmp_path)
    cut, whole = server.texts
    assert cut.endswith("[cut: 2400000 of 3000000 characters]")
    assert whole == "y" * 900_000


@pytest.mark.parametrize("is_up", [True, False])
def test_a_sigkill_at_a_random_moment_loses_nothing(
    tmp_path: Path, server: AckServer, is_up: bool
) -> None:
    """Of each thread, all whose call had returned arrives, and at most the call it died in."""
    chance = random.Random(7)
    for _ in range(4):
        server.records.clear()
        counts = tmp_path / "counts"
        counts.write_bytes(bytes(64))
        spool = tmp_path / "spool"
        app = start(COUNTED, server.port if is_up else 1, spool, str(counts), "3")
        assert app.stdout is not None
        assert app.stdout.readline() == "started\n"
        time.sleep(chance.uniform(0.0, 0.4))
        app.kill()
        app.communicate(timeout=60)
        adopt(server, spool)
        returned = struct.unpack("3q", counts.read_bytes()[:24])
        texts = server.texts
        for thread, least in enumerate(returned):
            prefix = f"{thread} "
            arrived = [text for text in texts if text.startswith(prefix)]
            assert arrived == [f"{prefix}{n}" for n in range(len(arrived))]
            assert least <= len(arrived) <= least + 1


def test_adopters_killed_at_random_moments_repeat_nothing(
    tmp_path: Path, server: AckServer
) -> None:
    """However often the process that delivers the rest is killed, each record arrives once."""
    chance = random.Random(8)
    run_to_death("for n in range(60_000): log(str(n))\ndie()", 1, tmp_path)
    for _ in range(8):
        adopter = start("print('started', flush=True)\n" + ADOPTER, server.port, tmp_path)
        assert adopter.stdout is not None
        assert adopter.stdout.readline() == "started\n"
        time.sleep(chance.uniform(0.0, 0.05))
        adopter.kill()
        adopter.communicate(timeout=60)
    adopt(server, tmp_path)
    assert server.texts == [str(n) for n in range(60_000)]


def test_signal_handlers_in_the_midst_of_calls_break_nothing(
    tmp_path: Path, server: AckServer
) -> None:
    """Records of a handler that interrupts log calls are in the journal, too, each once.

    Handlers interrupt each other, too, but four deep at most: on a busy machine the next signal
    always comes before a handler is done.
    """
    code = """
handled = []
depth = deepest = 0
def handle(*_):
    global depth, deepest
    if depth == 4:
        return
    depth += 1
    deepest = max(deepest, depth)
    number = len(handled)
    handled.append(number)
    if number % 2:
        signal.setitimer(signal.ITIMER_REAL, (1 + number % 40) * 1e-6, 0.0005)
    log(f"handled {number}")
    depth -= 1
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for n in range(50_000): log(str(n))
signal.setitimer(signal.ITIMER_REAL, 0)
log(f"end {len(handled)} {deepest}")
die()
"""
    run_to_death(code, 1, tmp_path)
    adopt(server, tmp_path)
    texts = server.texts
    word, count, deepest = texts[-1].split()
    assert word == "end"
    assert int(count) > 10
    assert int(deepest) > 1
    assert [t for t in texts if t.isdecimal()] == [str(n) for n in range(50_000)]
    assert len([t for t in texts if t.startswith("handled")]) == int(count)
    assert len(texts) == 50_000 + int(count) + 1


def test_forked_children_have_journals_of_their_own(tmp_path: Path, server: AckServer) -> None:
    """A child that is killed, and its parent, leave what each of them logged."""
    code = """
log("parent")
child = os.fork()
if child == 0:
    log("child")
    die()
os.waitpid(child, 0)
log("parent again")
die()
"""
    run_to_death(code, 1, tmp_path)
    adopt(server, tmp_path)
    assert sorted(server.texts) == ["child", "parent", "parent again"]
    assert len(server.marks) == 2


def test_an_orderly_end_leaves_no_files(tmp_path: Path, server: AckServer) -> None:
    """Where all is delivered, nothing stays in the directory."""
    app = start("for n in range(20_000): log(str(n))", server.port, tmp_path)
    app.communicate(timeout=60)
    assert app.returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert server.texts == [str(n) for n in range(20_000)]


def test_close_without_a_server_leaves_all(tmp_path: Path, server: AckServer) -> None:
    """What `close` could not deliver is adopted."""
    log = createClientLog("127.0.0.1", (1,), spool=tmp_path, exit_timeout_s=0.0)
    for n in range(100):
        log(str(n))
    assert not log.close()
    adopt(server, tmp_path)
    assert server.texts == [str(n) for n in range(100)]


def bytes_in(folder: Path) -> int:
    """The size of all files there, of which the sender may remove some meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def test_full_files_refuse_and_tell_of_the_gap(tmp_path: Path, server: AckServer) -> None:
    """At `spool_bytes` records are dropped and counted; each that was taken arrives."""
    log = createClientLog(
        "127.0.0.1", (1,), spool=tmp_path, spool_bytes=BOUND, when_full="drop", exit_timeout_s=0.0
    )
    returned = 0
    while log.server.lost < 1000:
        log(f"{returned} {'x' * 1000}")
        returned += 1
    assert BOUND * 3 // 4 < bytes_in(tmp_path) < BOUND * 5 // 4 + BATCH_BYTES
    lost = log.server.lost
    log.close()
    adopt(server, tmp_path)
    notices = [record for record in server.records if "lost" in record[4]]
    assert len(server.records) - len(notices) == returned - lost


def test_a_full_spool_takes_records_again_after_delivery(tmp_path: Path) -> None:
    """A call that waits for room goes on once the server has stored enough."""
    with AckServer() as server:
        server.acknowledges.clear()
        log = createClientLog(
            "127.0.0.1", (server.port,), spool=tmp_path, spool_bytes=200_000, block_timeout_s=0.1
        )
        while not log.server.lost:
            log("x" * 1000)
        server.acknowledges.set()
        server.cut()
        assert log.flush(60)
        lost = log.server.lost
        for n in range(100):
            log(str(n))
        assert log.close(60)
        assert log.server.lost == lost
        assert server.texts[-100:] == [str(n) for n in range(100)]
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_files_is_told_and_records_go_on(
    tmp_path: Path, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a journal records are still delivered, and with one again later."""
    problems = Problems()

    def full(fd: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("logd_client.journalfile._fill", full)
        log = createClientLog("127.0.0.1", (server.port,), spool=tmp_path, errorHandler=problems)
        log("1", sync=60)
        assert list(tmp_path.rglob("*.rows")) == []
    monkeypatch.setattr("logd_client.rowjournal._RETRY_S", 0.0)
    log.server._sender.buffer.journal._retry_at = 0.0
    log("2", sync=60)
    assert len(list(tmp_path.rglob("*.rows"))) == 1
    assert problems.texts == ["[Errno 28] No space left on device"]
    assert log.close(60)
    assert server.texts == ["1", "2"]

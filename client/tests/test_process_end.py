"""Forks, exits and interpreter shutdown, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ack_server import AckServer
from delivery import Problems

from logd_client import createClientLog

SOURCES = str(Path(__file__).parent.parent)

FORK_WARNING = "ignore:This process:DeprecationWarning"
"""Python 3.12 and later warn of forks with threads, which is what is tested here."""

PRELUDE = """
import os, sys, threading, time
from logd_client import createClientLog
port = int(sys.argv[1])
log = createClientLog("127.0.0.1", (port,), exit_timeout_s=60.0)
"""


def run(
    code: str, port: int, *, timeout_s: float = 120.0, prelude: str = PRELUDE
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", FORK_WARNING, "-c", prelude + code, str(port)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def check(done: subprocess.CompletedProcess[str]) -> None:
    """The program ended well and said nothing."""
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_exit_delivers_what_was_logged(server: AckServer) -> None:
    """A program that logs and ends at once loses nothing."""
    check(run("for n in range(5000): log(str(n))", server.port))
    assert server.texts == [str(n) for n in range(5000)]


def test_exit_by_an_exception_delivers(server: AckServer) -> None:
    """What was logged before an uncaught exception arrives."""
    done = run("log('last words'); raise SystemExit(3)", server.port)
    assert done.returncode == 3
    assert server.texts == ["last words"]


def test_a_program_that_logs_nothing_starts_no_thread(server: AckServer) -> None:
    """Without a record there is no thread, no connection, no delay."""
    check(run("assert threading.active_count() == 1", server.port))
    assert server.openings == []


def test_exit_without_a_server_is_bounded_and_loud() -> None:
    """The exit waits its time for a server that is away, then says what is lost."""
    began = time.monotonic()
    done = run(
        "log = createClientLog('127.0.0.1', (port,), exit_timeout_s=1.0)\nlog('a'); log('b')", 1
    )
    assert time.monotonic() - began < 60
    assert done.returncode == 0
    assert "2 record(s) lost by pid" in done.stderr
    assert "not delivered to 127.0.0.1:1 before the end" in done.stderr
    assert "Connection refused" in done.stderr


def test_exit_with_a_server_that_hangs_is_bounded() -> None:
    """A server that accepts and never answers holds up the exit no longer than allowed."""
    with AckServer() as server:
        server.acknowledges.clear()
        done = run(
            "log = createClientLog('127.0.0.1', (port,), exit_timeout_s=2.0)\nlog('a')",
            server.port,
        )
        assert done.returncode == 0
        assert "1 record(s) lost" in done.stderr
        assert server.texts == ["a"]


def test_threads_may_log_after_the_main_program(server: AckServer) -> None:
    """Records of threads that outlive the main program arrive."""
    check(
        run(
            """
main = threading.main_thread()
def work():
    main.join()
    for n in range(100): log(str(n))
threading.Thread(target=work).start()
log("main")
""",
            server.port,
        )
    )
    assert server.texts == ["main", *[str(n) for n in range(100)]]


def test_functions_at_exit_may_log(server: AckServer) -> None:
    """Functions that `atexit` runs before and after the client's own may log."""
    prelude = """
import atexit
def before(): log("registered before")
atexit.register(before)
"""
    code = """
atexit.register(lambda: log("registered after"))
log("main")
"""
    check(run(code, server.port, prelude=prelude + PRELUDE))
    server.wait_for_records(3)
    assert server.texts == ["main", "registered after", "registered before"]


def test_the_first_record_may_come_at_exit(server: AckServer) -> None:
    """A first record when no thread can be started any more is sent by the exit itself."""
    check(run("import atexit; atexit.register(lambda: log('only'))", server.port))
    assert server.texts == ["only"]


def test_finalizers_may_log(server: AckServer) -> None:
    """A log call in a finalizer at the very end neither hangs nor fails."""
    done = run(
        """
class Last:
    def __del__(self):
        log("finalizer")
import builtins
builtins.last = Last()
log("main")
""",
        server.port,
    )
    assert done.returncode == 0
    assert server.texts[0] == "main"


def test_daemon_threads_that_log_do_not_hang_the_exit(server: AckServer) -> None:
    """Daemon threads logging at full speed are cut off, the exit is bounded."""
    done = run(
        """
def work():
    while True: log("again")
for _ in range(4): threading.Thread(target=work, daemon=True).start()
while log.server.acked < 1000: time.sleep(0.001)
log = createClientLog('127.0.0.1', (port,), exit_timeout_s=1.0)
""",
        server.port,
    )
    assert done.returncode == 0
    assert len(server.records) >= 1000


FORK = """
log("parent")
assert log.flush(60)
child = os.fork()
if child == 0:
    assert log.server.lost == 0 and log.server.unacknowledged == 0
    assert log("child") == 1
    assert log.flush(60)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
log("parent again")
"""


def test_a_forked_child_has_a_session_of_its_own(server: AckServer) -> None:
    """The child has another client id and pid, counts anew, and the parent goes on."""
    check(run(FORK, server.port))
    assert server.texts == ["parent", "child", "parent again"]
    assert len({opening[0] for opening in server.openings}) == 2
    pids = [record[3][0] for record in server.records]
    assert pids[0] == pids[2] != pids[1]
    assert [record[0] for record in server.records] == [1, 1, 2]


def test_a_forked_child_sends_nothing_of_its_parent(server: AckServer) -> None:
    """What waits in the parent's buffer at the fork arrives once, from the parent."""
    check(
        run(
            """
child = 0
def work():
    for n in range(20000): log(str(n))
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
children = []
for n in range(20):
    child = os.fork()
    if child == 0:
        log("child")
        assert log.flush(60)
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
for thread in threads: thread.join()
""",
            server.port,
        )
    )
    texts = server.texts
    assert texts.count("child") == 20
    assert len(texts) == 40020
    assert sorted(t for t in texts if t != "child") == sorted(
        str(n) for n in range(20000) for _ in range(2)
    )


def test_children_of_multiprocessing_deliver(server: AckServer) -> None:
    """Workers of `multiprocessing`, which leave without atexit, lose nothing."""
    check(
        run(
            """
import multiprocessing
def work(name):
    for n in range(100): log(f"{name} {n}")
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(name,)) for name in "abc"]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
""",
            server.port,
        )
    )
    for name in "abc":
        assert [t for t in server.texts if t[0] == name] == [f"{name} {n}" for n in range(100)]


def test_signal_handlers_may_log(server: AckServer) -> None:
    """A handler that logs in the midst of log calls of the main thread does not deadlock."""
    check(
        run(
            """
import signal
signal.signal(signal.SIGALRM, lambda *_: log("signal"))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for n in range(100000): log("main")
signal.setitimer(signal.ITIMER_REAL, 0)
""",
            server.port,
        )
    )
    assert server.texts.count("main") == 100000
    assert "signal" in server.texts


def test_asyncio_apps_are_not_held_up(server: AckServer) -> None:
    """Log calls in coroutines return at once, though the server is slow."""
    server.acknowledges.clear()
    done = run(
        """
import asyncio
log = createClientLog('127.0.0.1', (port,), exit_timeout_s=2.0, errorHandler="silent")
async def main():
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(1000):
        log(str(n))
        await asyncio.sleep(0)
    assert loop.time() - began < 60
asyncio.run(main())
""",
        server.port,
    )
    assert done.returncode == 0, done.stderr
    assert len(server.texts) == 1000


KILLED_AFTER_AN_OUTAGE = """
import signal
from logd_client import backoff, courier
backoff.RETRY_FIRST_S = backoff.RETRY_MAX_S = 3600.0  # the thread alone would be far too late
backoff.RECORD_TRIES_S = 0.0
# A busy machine is no matter here.
courier._CONNECT_AT_ONCE_S = courier._ANSWER_AT_ONCE_S = courier._PATIENCE_S = 60.0
log("before", sync=60)
print("delivered", flush=True)
sys.stdin.readline()
while log.server.connected_to: time.sleep(0.001)
log("meanwhile")
print("noticed", flush=True)
sys.stdin.readline()
while not log.server._sender.buffer.sender_sleeps: time.sleep(0.001)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
log("shutting down")
log("shutdown complete")
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_record_looks_for_a_server_that_was_away() -> None:
    """A process that dies of SIGTERM in the midst of a pause delivers if the server is back."""
    with AckServer() as server:
        app = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + KILLED_AFTER_AN_OUTAGE, str(server.port)],
            env={**os.environ, "PYTHONPATH": SOURCES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert app.stdin is not None
        assert app.stdout is not None
        assert app.stdout.readline() == "delivered\n"
    app.stdin.write("\n")
    app.stdin.flush()
    assert app.stdout.readline() == "noticed\n"
    with AckServer(server.port) as again:
        again.marks = server.marks
        app.communicate("\n", timeout=60)
        assert app.returncode == -signal.SIGTERM
        again.wait_for_records(3)
        assert again.texts == ["meanwhile", "shutting down", "shutdown complete"]


def test_an_outage_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """If records wait in memory for a server that stays away, people hear of it."""
    monkeypatch.setattr("logd_client.outage._FIRST_S", 0.0)
    problems = Problems()
    log = createClientLog("127.0.0.1", (1,), errorHandler=problems, exit_timeout_s=0.0)
    log("a")
    assert problems.arrived.wait(60)
    log.close()
    told = f"1 record(s) of pid {os.getpid()} wait in memory (127.0.0.1:1: Connection refused); "
    assert problems.texts[0].startswith(told)

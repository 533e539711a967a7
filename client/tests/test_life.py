"""How the client lives in the servers that people run: forks, closes, ends, other schedulers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ack_server import AckServer
from programs import PRELUDE, SOURCES, check, needs_linux, run

from logd_client import createClientLog


def test_dictconfig_closes_a_handler_that_stays(server: AckServer) -> None:
    """After any later configuration, records of the handler go on arriving."""
    check(
        run(
            """
log("before")
for n in range(3):
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    log(f"after {n}")
    assert handler.flush(60)
""",
            server.port,
        )
    )
    assert server.texts == ["before", "after 0", "after 1", "after 2"]


def test_records_after_the_shutdown_of_logging(server: AckServer) -> None:
    """Functions that were registered before `logging` was imported may log at exit."""
    prelude = """
import atexit
def late():
    for n in range(1000): log(f"late {n}")
atexit.register(late)
"""
    check(run("log('first')", server.port, prelude=prelude + PRELUDE))
    server.wait_for_records(1001)
    assert server.texts == ["first", *[f"late {n}" for n in range(1000)]]


def test_what_a_closed_handler_still_has_is_delivered_later(server: AckServer) -> None:
    """A close in vain gives nothing up: the thread goes on, and lets go once all is stored."""
    server.acknowledges.clear()
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PRELUDE.replace("60.0", "0.2")
            + """
log("a")
logging.config.dictConfig({"version": 1})
print(handler.server.lost, flush=True)
while handler.server.connected_to is not None: time.sleep(0.01)
print(handler.server.lost, threading.active_count(), flush=True)
""",
            str(server.port),
        ],
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        server.acknowledges.set()
        server.cut()
        assert process.stdout.readline() in ("0 1\n", "0 2\n")
    assert server.texts == ["a"]


# The last words of a process.

LAST_WORDS = {
    "os._exit": ("os._exit(0)", 0),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
}


@pytest.mark.parametrize("ending", LAST_WORDS)
def test_lone_records_reach_the_kernel_within_the_call(server: AckServer, ending: str) -> None:
    """A process that ends without any function at exit has sent what it logged after silence."""
    code, status = LAST_WORDS[ending]
    check(run(f"for n in range(3): log(f'last {{n}}')\n{code}", server.port), status)
    server.wait_for_records(3)
    assert server.texts == ["last 0", "last 1", "last 2"]


# Waits have an end.

STALLED = """
import socket
servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
ports = [one.getsockname()[1] for one in servers]
from logd_client import connection
if hangs:
    connection.getaddrinfo = lambda *_: threading.Event().wait(60) or []
host = "loghost.example" if hangs else "127.0.0.1"
handler = LogdHandler(host, ports, exit_timeout_s=0.5, errorHandler="silent")
logging.getLogger().handlers = [handler]
log("m")
time.sleep(0.1)
began = time.monotonic()
"""

WAITS = {
    "close": "handler.server.close(0.5)",
    "dictConfig": "logging.config.dictConfig({'version': 1})",
    "flush": "handler.flush(0.5)",
    "end": "handler.server._sender.at_exit(time.monotonic()); logging.shutdown()",
}


@pytest.mark.parametrize("hangs", [False, True], ids=["no answer", "resolver hangs"])
@pytest.mark.parametrize("wait", WAITS)
def test_every_wait_has_its_time(wait: str, hangs: bool) -> None:
    """Servers that accept and never answer, and a hanging resolver, hold up nothing for longer."""
    code = f"""
hangs = {hangs}
{STALLED}
{WAITS[wait]}
print(time.monotonic() - began)
os._exit(0)
"""
    done = run(code, 1)
    assert done.stderr == ""
    assert 0.45 < float(done.stdout) < 2.5


# Other schedulers.

REPLACED = """
import _thread, select, socket
def replaced(*_args, **_kwargs): raise AssertionError("looked up after it was replaced")
_thread.start_new_thread = lambda *a, **k: replaced()
for module, names in {
    _thread: ["allocate_lock", "get_ident"],
    threading: ["Thread", "Event", "Lock", "RLock", "_allocate_lock"],
    select: ["poll", "select"], time: ["sleep", "monotonic"],
    socket: ["socket", "create_connection"],
}.items():
    for name in names: setattr(module, name, replaced)
"""


@pytest.mark.parametrize("when", ["before the first record", "after the first record"])
@pytest.mark.parametrize("has_spool", [False, True])
def test_modules_that_are_replaced_later(
    server: AckServer, tmp_path: Path, when: str, has_spool: bool
) -> None:
    """What gevent and eventlet put in place of standard functions after the import is not used.

    Not by calls that wait for room either, nor by the thread that sends what others left.
    """
    first = "log('first'); assert handler.flush(60)\n" if when.startswith("after") else ""
    settings = f"spool={str(tmp_path)!r}" if has_spool else "buffer_bytes=20_000"
    first = f"""
handler = LogdHandler("127.0.0.1", port, {settings}, block_timeout_s=60)
logging.getLogger().handlers = [handler]
{first}"""
    code = """
for n in range(300): log(str(n))
assert handler.flush(60)
handler.server.close(60)
log("again")
assert handler.flush(60)
os._exit(0)
"""
    done = run(first + REPLACED + code, server.port)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.texts[-301:] == [*[str(n) for n in range(300)], "again"]


def test_without_poll(server: AckServer) -> None:
    """eventlet takes `select.poll` away; `select` does."""
    prelude = "import select\ndel select.poll\n" + PRELUDE
    check(
        run(
            "for n in range(300): log(str(n))\nassert handler.flush(60)",
            server.port,
            prelude=prelude,
        )
    )
    assert len(server.texts) == 300


def test_without_threads(server: AckServer) -> None:
    """If no thread can be started, that is said once, and the threads that log deliver."""
    code = """
from logd_client import natives
def refuse(*_): raise RuntimeError("can't start new thread")
natives._Thread.start = refuse
for n in range(300): log(str(n))
assert handler.flush(60)
log("last")
"""
    done = run(code, server.port)
    assert done.returncode == 0
    assert re.fullmatch(
        r"logd: .*no thread can be started \(can't start new thread\).*\n", done.stderr
    )
    server.wait_for_records(301)
    assert server.texts == [*[str(n) for n in range(300)], "last"]


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 itself does not survive `import ssl` there"
)
def test_isolated_subinterpreters_deliver(server: AckServer) -> None:
    """An interpreter that allows no daemon threads delivers before it ends, and ends."""
    code = """
import os
# What measures coverage can't be loaded into such an interpreter, and would say so.
os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inner = '''
import logging
from logd_client import LogdHandler
handler = LogdHandler("127.0.0.1", PORT, errorHandler="silent")
logging.getLogger().addHandler(handler)
for n in range(200): logging.error(str(n))
assert handler.flush(60)
logging.error("last")
'''.replace("PORT", str(port))
config = "isolated" if sys.version_info >= (3, 13) else None
made = interpreters.create(config) if config else interpreters.create()
interpreters.run_string(made, inner)
interpreters.destroy(made)
"""
    done = run(code, server.port)
    assert (done.returncode, done.stderr) == (0, "")
    server.wait_for_records(201)
    assert server.texts == [*[str(n) for n in range(200)], "last"]


def test_a_signal_handler_may_flush_in_a_flush(server: AckServer) -> None:
    """Flushes in a handler that interrupts log calls and flushes wait for no lock of theirs."""
    check(
        run(
            """
handled = 0
def handle(*_):
    global handled
    log("signal"); handler.flush(60); handled += 1
    signal.setitimer(signal.ITIMER_REAL, 0.0007)
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0007)
for n in range(1000):
    log("main")
    handler.flush(60)
signal.setitimer(signal.ITIMER_REAL, 0)
assert handled
""",
            server.port,
        )
    )
    assert server.texts.count("main") == 1000


def test_dropped_records_are_told_while_they_are_dropped() -> None:
    """The first loss is told at once, and what follows no more than once a minute, counted."""
    code = """
handler = LogdHandler("127.0.0.1", port, exit_timeout_s=0, buffer_bytes=5000, when_full="drop")
logging.getLogger().handlers = [handler]
while handler.server.lost < 100: log("m" * 100)
time.sleep(1)
for n in range(100): log("m" * 100)
time.sleep(1)
print(handler.server.lost)
"""
    done = run(code, 1)
    dropped = re.findall(
        r"(\d+) record\(s\) dropped by pid \d+, \d+ so far: the buffer", done.stderr
    )
    assert len(dropped) == 2, done.stderr
    assert sum(map(int, dropped)) == int(done.stdout)


@needs_linux
def test_lone_records_wake_no_thread_and_idle_clients_nothing(server: AckServer) -> None:
    """The sender's thread sleeps while single records are sent, and for ever without any."""
    code = """
def switches(thread):
    with open(f"/proc/self/task/{thread.native_id}/status") as status:
        return int(status.read().split("\\nvoluntary_ctxt_switches:")[1].split()[0])
log("first")
assert handler.flush(60)
(thread,) = (one for one in threading.enumerate() if one.name == "logd_client")
before = switches(thread)
for n in range(50):
    log(str(n))
    time.sleep(0.01)
print(switches(thread) - before)
assert handler.flush(60)
time.sleep(1.5)
before = switches(thread)
time.sleep(1)
print(switches(thread) - before)
"""
    done = run(code, server.port)
    assert done.stderr == ""
    for_records, for_nothing = map(int, done.stdout.split())
    assert for_records < 15
    assert for_nothing == 0
    assert len(server.texts) == 51


def test_an_idle_client_comes_back_by_itself(server: AckServer) -> None:
    """A connection that the server closed is noticed without a record, and made anew."""
    log = createClientLog("127.0.0.1", (server.port,), exit_timeout_s=0)
    try:
        log("a", sync=60)
        server.cut()
        server.wait(lambda: len(server.openings) == 2)
        log("b", sync=60)
        assert server.texts == ["a", "b"]
    finally:
        log.close(0)

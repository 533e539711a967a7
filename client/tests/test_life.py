"""How the client lives in the servers that people run: forks, closes, ends, other schedulers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ack_server import AckServer

from logd_client import createClientLog

SOURCES = str(Path(__file__).parent.parent)

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's descriptors and libc")

PRELUDE = """
import logging, logging.config, os, signal, sys, threading, time
from logd_client import LogdHandler, createClientLog
port = int(sys.argv[1])
handler = LogdHandler("127.0.0.1", port, exit_timeout_s=60.0)
logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(message)s")
log = logging.info
"""


@pytest.fixture
def server() -> Iterator[AckServer]:
    """A server that behaves."""
    with AckServer() as made:
        yield made


def run(
    code: str, port: int, *, prelude: str = PRELUDE, timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", prelude + code, str(port)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def check(done: subprocess.CompletedProcess[str], status: int = 0) -> None:
    """The program ended as expected and said nothing."""
    assert (done.returncode, done.stderr, done.stdout) == (status, "", "")


# Forks that Python is not told of.


@needs_linux
@pytest.mark.parametrize("api", ["logging.info", "createClientLog('127.0.0.1', (port,))"])
def test_a_fork_that_python_is_not_told_of(server: AckServer, api: str) -> None:
    """The child has a session and a pid of its own, delivers, ends; the parent goes on."""
    check(
        run(
            f"log = {api}"
            """
import ctypes
libc = ctypes.PyDLL(None)
def write(text): log(text)
write("parent")
flush = handler.flush if log is logging.info else log.flush
assert flush(60)
# The threads must be at rest: the interpreter itself does not survive such a fork otherwise.
time.sleep(0.5)
child = libc.fork()
if child == 0:
    for n in range(5): write(f"child {n}")
    assert flush(60)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
write("parent again")
""",
            server.port,
        )
    )
    assert sorted(server.texts) == sorted(
        ["parent", *[f"child {n}" for n in range(5)], "parent again"]
    )
    pids = {record[2]: record[3][0] for record in server.records}
    assert pids["parent"] == pids["parent again"] != pids["child 0"]
    assert len({client_id for client_id, _, _ in server.openings}) == 2


@needs_linux
def test_a_foreign_fork_without_a_page_that_is_wiped(server: AckServer) -> None:
    """Where forks don't show by themselves, lone records find them by the process's number."""
    old_system = """
import mmap
class Old(mmap.mmap):
    def madvise(self, *_): raise OSError
mmap.mmap = Old
"""
    code = """
import ctypes
log = createClientLog("127.0.0.1", (port,))
log("parent", sync=60)
while not log.server.buffer.sender_sleeps: time.sleep(0.001)
child = ctypes.PyDLL(None).fork()
if child == 0:
    log("child")
    os._exit(0 if log.flush(60) else 1)
assert os.waitpid(child, 0)[1] == 0
log("again", sync=60)
"""
    check(run(code, server.port, prelude=old_system + PRELUDE))
    assert server.texts == ["parent", "child", "again"]
    assert len({client_id for client_id, _, _ in server.openings}) == 2


@needs_linux
@pytest.mark.parametrize("api", ["logging.info", "createClientLog('127.0.0.1', (port,))"])
def test_a_foreign_fork_waits_for_no_lock_of_its_parent(server: AckServer, api: str) -> None:
    """Threads that the fork left behind hold every lock, and the parent was under load."""
    check(
        run(
            f"log = {api}"
            """
import ctypes
libc = ctypes.PyDLL(None)
def write(text): log(text)
proxy = handler.server if log is logging.info else log.server
write("parent")
assert proxy.flush(60)
sender = proxy._sender
is_held = threading.Event()
def hold():
    sender.buffer.lock.acquire(), sender._courier._moving.acquire(), sender._changing.acquire()
    proxy._reports._lock.acquire(), sender._courier.waiters._lock.acquire()
    sender.buffer.stay_awake()
    is_held.set()
    time.sleep(60)
threading.Thread(target=hold, daemon=True).start()
assert is_held.wait(60)
time.sleep(0.5)
child = libc.fork()
if child == 0:
    write("child")
    os._exit(0 if proxy.flush(60) and proxy.close(60) else 1)
assert os.waitpid(child, 0)[1] == 0
os._exit(0)
""",
            server.port,
        )
    )
    assert server.texts == ["parent", "child"]


# Closed handlers that stay in use.


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


def test_children_that_end_by_os_exit(server: AckServer) -> None:
    """The first record of a forked child connects within the call."""
    check(
        run(
            """
log("parent")
assert handler.flush(60)
for n in range(20):
    if os.fork() == 0:
        log(f"child {n}")
        os._exit(0)
    assert os.wait()[1] == 0
""",
            server.port,
        )
    )
    server.wait_for_records(21)
    assert sorted(server.texts) == sorted(["parent", *[f"child {n}" for n in range(20)]])


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


# Descriptors.


@needs_linux
def test_closed_descriptors_are_not_written_to(server: AckServer, tmp_path: Path) -> None:
    """Files and sockets that got the client's descriptors stay the app's; all records arrive.

    Nothing is written into them, and nothing read.
    """
    code = f"""
log("0")
assert handler.flush(60)
os.closerange(3, 64)
import socket
files = [open(os.path.join({str(tmp_path)!r}, str(n)), "wb", buffering=0) for n in range(3)]
pairs = [socket.socketpair() for _ in range(3)]
for one, other in pairs: one.send(b"to other"), other.send(b"to one")
handler.server._sender._courier.link.hear_at = 0.0
for n in range(1, 400): log(str(n))
assert handler.flush(60)
for one, other in pairs: assert (one.recv(100), other.recv(100)) == (b"to one", b"to other")
handler.server.close(60)
for file in files: os.fstat(file.fileno())
for one, other in pairs: one.send(b"x"); assert other.recv(2) == b"x"
"""
    check(run(code, server.port))
    assert server.texts == [str(n) for n in range(400)]
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0, 0, 0]


@needs_linux
def test_closed_descriptors_of_a_spool_are_not_written_to(
    server: AckServer, tmp_path: Path
) -> None:
    """The spool's files are opened again; the app's files stay empty, and all records arrive."""
    server.acknowledges.clear()
    code = f"""
handler = LogdHandler("127.0.0.1", port, spool={str(tmp_path / "spool")!r}, exit_timeout_s=60)
logging.getLogger().handlers = [handler]
for n in range(100): log(str(n))
while handler.server._sender._courier.session.next_sequence <= 100: time.sleep(0.01)
os.closerange(3, 64)
files = [open(os.path.join({str(tmp_path)!r}, str(n)), "wb", buffering=0) for n in range(9)]
for n in range(100, 400): log(str(n))
print(flush=True)
assert sys.stdin.read() == ""
assert handler.flush(60)
assert [os.fstat(file.fileno()).st_size for file in files] == [0] * 9
"""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(server.port)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        server.acknowledges.set()
        server.cut()
        process.stdin.close()
        assert process.wait(100) == 0
    assert server.texts == [str(n) for n in range(400)]


@needs_linux
def test_without_a_free_descriptor_nothing_raises(server: AckServer) -> None:
    """Records wait in the buffer until there is one."""
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = []
try:
    while True: held.append(os.open("/dev/null", 0))
except OSError:
    pass
log("a")
assert not handler.flush(0.3)
assert "Too many open files" in handler.server.last_error
for fd in held: os.close(fd)
assert handler.flush(60)
"""
    check(run(code, server.port))
    assert server.texts == ["a"]


# Signal handlers, losses, idleness.


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

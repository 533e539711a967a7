"""Children that end their own way, and forks that Python is not told of."""

from __future__ import annotations

import pytest
from ack_server import AckServer
from programs import PRELUDE, check, needs_linux, run


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
time.sleep(0.1)  # a fork while its thread waits for the interpreter's lock breaks that lock
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

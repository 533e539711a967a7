"""The client's descriptors: closed by the app, used by it for something else, or none left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ack_server import AckServer
from programs import PRELUDE, SOURCES, check, needs_linux, run


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

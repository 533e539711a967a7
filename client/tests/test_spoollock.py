"""Whose a spool's folder is if the app closes descriptors that are not its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer
from delivery import Problems
from spools import SOURCES, end_app, folders

from logd_client import createClientLog
from logd_client.mappedfile import MappedFile
from logd_client.spool import open_leftovers

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
    problems = Problems()
    log = createClientLog("127.0.0.1", 1, spool=tmp_path, errorHandler=problems, exit_timeout_s=0.0)
    for n in range(3000):
        log(f"{n} {'x' * 50}")
    (old,) = folders(tmp_path)
    give_up_lock(log)
    heir = start(HEIR, tmp_path)
    assert line_of(heir) == "1"
    log.server._sender.buffer.shrink_journal()
    (new,) = [folder for folder in folders(tmp_path) if folder != old]
    text = f"spool {old}: another process has it, for the app closed its lock"
    assert f"{text}; this one goes on in {new}" in problems.texts
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

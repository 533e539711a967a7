"""A daemon that can't decode what comes: plain senders go on, and all of it arrives, in order."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from logd.query.controlclient import ControlClient
from tests.daemon.test_disk_queue import Plain
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import until

HOLDING = """
import pathlib, time

def hold(jobhist, writer):
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
"""
"""A filter that holds everything up."""

RECORDS = 800
TEXT = "x" * 20_000
"""More than the kernel's buffers and the queue's memory hold."""


@pytest.mark.parametrize("ends", ["goes on", "is stopped"])
def test_plain_senders_go_on_while_nothing_is_decoded(tmp_path: Path, ends: str) -> None:
    """No call takes a second; on disk waits what memory has no room for; nothing is lost."""
    (tmp_path / "holding.py").write_text(HOLDING)
    options = ("--queue-bytes", "2 MiB", "--connection-queue-bytes", "1 MiB")
    environment = {"PYTHONPATH": str(tmp_path)}
    with running(
        "--filter", "holding:hold", *options, folder=tmp_path, environment=environment
    ) as daemon:
        apps = {name: Plain(daemon.port) for name in ("a", "b")}
        threads = [
            threading.Thread(target=app.send, args=(RECORDS, name + TEXT))
            for name, app in apps.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert max(app.slowest_s for app in apps.values()) < 1.0
        assert waiting(daemon)["overflow_bytes"] > 0
        assert waiting(daemon)["bytes"] < 4 << 20
        (tmp_path / "go").touch()
        for app in apps.values():
            app.handler.close()
        if ends == "goes on":
            until(lambda: waiting(daemon) == waiting(daemon) | NOTHING, "all is written")
        assert daemon.stop() == 0
        found = re.findall(r"plain record (\d+) (a|b)x", daemon.log_text())
    for name in ("a", "b"):
        numbers = [int(number) for number, app in found if app == name]
        assert numbers == list(range(1, RECORDS + 1))


NOTHING = {"bytes": 0, "overflow_bytes": 0}


def waiting(daemon: DaemonProcess) -> dict[str, int]:
    """What waits in the daemon's queue."""
    with ControlClient([daemon.folder / "logs/.logd-state/control.sock"]) as client:
        queue: dict[str, int] = client.ask({"do": "status"})["queue"]
    return queue

"""An end without memory is an end: with a word and a status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from logd.daemon.lastresort import EXIT_STATUS
from tests.daemon_process import DaemonProcess
from tests.hostile.attack import Peer, batch, opening


@pytest.mark.parametrize("point", ["files.before_write", "files.before_sync", "ack.before_send"])
def test_without_memory_the_daemon_ends(point: str, tmp_path: Path) -> None:
    """Whichever thread it hits, the daemon stops by itself, says why, and tells of the failure."""
    out_of_memory = {"LOGD_FAILPOINTS": f"{point}=memory"}
    daemon = DaemonProcess(folder=tmp_path, environment=out_of_memory).wait_ready()
    try:
        with Peer(daemon.port) as peer:
            peer.send(opening(), batch("one", 1))
            assert daemon.wait() == 1, daemon.output
        daemon.wait_line("MemoryError")
    finally:
        if daemon.process.poll() is None:
            daemon.kill()


def test_a_failure_that_can_not_end_is_ended() -> None:
    """If the end does not come in time the process says so and is gone."""
    program = (
        "import time\n"
        "from logd.daemon.lastresort import LastResort\n"
        "resort = LastResort(0.1)\n"
        "resort.start()\n"
        "resort.failed()\n"
        "time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == EXIT_STATUS
    assert b"could not stop in time" in done.stderr

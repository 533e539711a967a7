"""A running daemon while people move its folder, remove its journal and change its settings."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

from logd.query.controlclient import ControlClient
from tests.clients import Connect
from tests.daemon_process import running

PATIENCE_S = 60.0


def numbers(folder: Path) -> list[int]:
    """The numbers of all records in a folder, sorted."""
    texts = (path.read_text() for path in folder.glob("app_*"))
    return sorted(int(number) for text in texts for number in re.findall(r" number (\d+)\t", text))


def test_what_was_acknowledged_is_there_once(tmp_path: Path, connect: Connect) -> None:
    """Moved folders, a removed journal, SIGHUP and kill -9 neither lose nor repeat a record."""
    logs, old = tmp_path / "logs", tmp_path / "logs.old"
    settings = tmp_path / "logd.toml"
    lines = 'file = "logs/app_%d.log"\nstate_dir = "state"\nrotate_lines = 10\nrotate_count = '
    settings.write_text(f"{lines}10\n")
    with running("--config", settings, folder=tmp_path) as daemon:
        log = connect(daemon.port)
        sent = 0

        def send(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                log(f" number {sent}")
                sent += 1
            assert log.flush(PATIENCE_S)

        send(35)
        logs.rename(old)
        logs.mkdir()
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("folder was moved or replaced")
        daemon.wait_line("reloaded; changed: nothing")
        send(75)
        settings.write_text(f"{lines}3\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("removing 5 files that the settings no longer keep .50 records")
        daemon.wait_line("reloaded; changed: rotate_count")
        (logs / ".app_%d.log.journal").unlink()
        send(4)
        daemon.kill()
    assert numbers(old) == [*range(35)]
    assert set(numbers(logs)) >= {*range(85, 114)}
    with running("--config", settings, folder=tmp_path, port=daemon.port) as daemon:
        send(3)
        assert daemon.stop() == 0
    assert numbers(logs) == [*range(95, 117)]  # the ring has gone on by one file
    shutil.rmtree(old)


def test_status_is_answered_beside_a_new_folder(tmp_path: Path) -> None:
    """The control socket, which stands in the log's folder by default, is made again by SIGHUP."""
    logs = tmp_path / "logs"
    with running("--file", "logs/app_%d.log", folder=tmp_path) as daemon:
        (control,) = [path for path in logs.rglob("*") if path.name == "control.sock"]
        logs.rename(tmp_path / "logs.old")
        logs.mkdir()
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("reloaded; changed: nothing")
        with ControlClient([control]) as client:
            assert client.ask({"do": "status"})["pid"] == daemon.pid
        assert daemon.stop() == 0
    assert not control.exists()


def test_a_folder_that_is_refused_beside_one_that_is_not(tmp_path: Path, connect: Connect) -> None:
    """Records for it wait on disk, and the log of the other output goes on."""
    # Nobody may make a folder there, not even root.
    settings = tmp_path / "logd.toml"
    settings.write_text('file = ["/sys/logd/x_%d.log", "logs/app_%d.log"]\nstate_dir = "state"\n')
    with running("--config", settings, folder=tmp_path) as daemon:
        daemon.wait_line("can't write /sys/logd: .*; its records wait on disk")
        log = connect(daemon.port)
        for number in range(5):
            log(f" number {number}")
        assert log.flush(PATIENCE_S)
        with ControlClient([tmp_path / "state" / "control.sock"]) as client:
            outputs = client.ask({"do": "status"})["outputs"]
        # With what the daemon says of it itself.
        assert outputs[0]["disk"]["records"] >= 5
        assert outputs[1]["disk"]["records"] == 0
        assert daemon.stop() == 0
    assert numbers(tmp_path / "logs") == [*range(5)]

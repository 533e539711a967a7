"""What the app hears of records that are lost: `on_loss`, in place of a line on stderr."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from ack_server import AckServer, Refuse

from logd_client import Log, LogdHandler, RecordsLost, createClientLog
from logd_client.wakeup import Wakeup

NOWHERE = ("127.0.0.1", (1,))


def test_each_lost_record_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The counts of the calls add up to all that is lost: dropped, and not sent before the end."""
    losses: list[RecordsLost] = []
    log = createClientLog(
        *NOWHERE, on_loss=losses.append, buffer_bytes=5000, when_full="drop", exit_timeout_s=0.0
    )
    while log.server.lost < 100:
        log("m" * 100)
    log.close()
    assert log.server.lost > 100
    assert sum(loss.count for loss in losses) == log.server.lost
    assert len(losses) <= 3
    assert any("the buffer is full" in str(loss) for loss in losses)
    assert any("before the end" in str(loss) for loss in losses)
    assert capsys.readouterr().err == ""


def test_an_end_in_steps_tells_each_record_once() -> None:
    """The process ends, more is logged, and then `logging` closes the handler, too."""
    losses: list[RecordsLost] = []
    handler = LogdHandler(*NOWHERE, on_loss=losses.append, exit_timeout_s=0.0)
    log = Log(handler.server)
    for _ in range(3):
        log("m")
    handler.server._sender.at_exit(time.monotonic())
    log("late")
    handler.close()
    assert sum(loss.count for loss in losses) == handler.server.lost == 4


def test_what_the_server_refuses_is_told(server: AckServer) -> None:
    """A record that the server refuses for good is one."""

    def refuse(batch: tuple[Any, ...]) -> None:
        if "bad" in batch[7]:
            raise Refuse(4)

    server.before_batch = refuse
    losses: list[RecordsLost] = []
    log = createClientLog("127.0.0.1", (server.port,), on_loss=losses.append)
    log("good", sync=60)
    log("bad")
    assert log.flush(60)
    assert [loss.count for loss in losses] == [1]
    assert "refused" in str(losses[0])
    assert log.close(60)


def test_a_sender_that_sleeps_tells_it(server: AckServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes everything and says nothing, so that nothing but the loss wakes it."""

    def poll(self: Wakeup, fd: int, events: int, limit_s: float | None) -> None:
        if limit_s is None or limit_s > 5:
            falls_asleep.set()
        wait(self, fd, events, limit_s)

    falls_asleep = threading.Event()
    wait = Wakeup.poll
    monkeypatch.setattr(Wakeup, "poll", poll)
    server.acknowledges.clear()
    is_told = threading.Event()
    log = createClientLog(
        "127.0.0.1",
        (server.port,),
        on_loss=lambda _: is_told.set(),
        buffer_bytes=5000,
        when_full="drop",
    )
    while not log.server.lost:
        log("m" * 2000)
        assert falls_asleep.wait(60)
    assert is_told.wait(60)
    server.acknowledges.set()
    server.cut()
    assert log.close(60)


def test_a_function_that_fails_or_logs_harms_nothing(
    server: AckServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it raises is printed; what it logs is a record like others."""

    def on_loss(loss: RecordsLost) -> None:
        if not is_full.is_set():
            is_full.set()
            log(f"{loss.count} lost")
        raise RuntimeError("mine")

    is_full = threading.Event()
    server.acknowledges.clear()
    log = createClientLog(
        "127.0.0.1", (server.port,), on_loss=on_loss, buffer_bytes=5000, when_full="drop"
    )
    while not log.server.lost:
        log("m" * 100)
    assert is_full.wait(60)
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    log("after", sync=60)
    assert log.close(60)
    assert "RuntimeError: mine" in capsys.readouterr().err
    assert "after" in server.texts

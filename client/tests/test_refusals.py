"""What a server refuses: sessions, batches that are too large, records that nobody can read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer, Refuse
from delivery import LOOPBACK, Problems, numbers, wait_until

from logd_client import (
    createClientLog,
)


def test_a_wrong_token_is_reported_once(connect: Callable[..., Any]) -> None:
    """A refused session is told to the error handler, without the token, and retried slowly."""
    problems = Problems()
    with AckServer(token="right") as server:
        log = connect(server, errorHandler=problems, token="wr0ng")
        log("m")
        assert problems.arrived.wait(60)
        assert not log.flush(0.1)
        assert problems.texts == [
            f"{LOOPBACK}:{server.port}: refused: the token is missing or wrong"
        ]
        assert len(server.openings) == 1
        assert "wr0ng" not in repr(log.server) + log.server.last_error
        other = connect(server, token="right")
        assert other("m", sync=60)


@pytest.mark.parametrize(
    ("host", "options", "is_told"),
    [
        ("192.0.2.1", {"token": "a token"}, True),
        ("log.example.org", {"token": "a token"}, True),
        ("192.0.2.1", {"token": "a token", "tls": True}, False),
        ("192.0.2.1", {}, False),
        ("127.0.0.1", {"token": "a token"}, False),
        ("::1", {"token": "a token"}, False),
        ("localhost", {"token": "a token"}, False),
    ],
)
def test_a_token_in_plain_text_on_the_network_is_told(
    host: str, options: dict[str, Any], is_told: bool
) -> None:
    """Whoever can read the network could log with it: the error handler is told at once."""
    problems = Problems()
    log = createClientLog(host, (9,), errorHandler=problems, exit_timeout_s=0.0, **options)
    log.close()
    assert [("plain text" in text, "a token" in text) for text in problems.texts] == (
        [(True, False)] if is_told else []
    )


def test_refusals_are_printed_where_no_handler_is(
    connect: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an error handler, a refusal stands on stderr."""
    with AckServer(token="right") as server:
        log = connect(server)
        log("m")
        wait_until(lambda: "refused" in log.server.last_error)
        log.close()
    err = capsys.readouterr().err
    assert "logd: SessionProblem: " in err
    assert "the token is missing or wrong" in err
    assert "1 record(s) lost" in err


@pytest.mark.parametrize("code", [5, 6])
def test_passing_refusals_are_tried_again(
    code: int, server: AckServer, connect: Callable[..., Any]
) -> None:
    """A server that is stopping, or that missed a batch, gets everything at the next try."""
    codes = [code, code]

    def refuse(batch: Any) -> None:
        if codes:
            raise Refuse(codes.pop())

    server.before_batch = refuse
    log = connect(server, errorHandler="silent")
    for text in numbers(100):
        log(text)
    assert log.flush(60)
    assert server.texts == numbers(100)


def test_a_batch_that_is_always_refused_does_not_hold_up_the_others(
    server: AckServer, connect: Callable[..., Any]
) -> None:
    """A malformed batch is given up, said so in its place, counted; the rest arrives."""

    def refuse(batch: Any) -> None:
        if "poison" in batch[7]:
            raise Refuse(4)

    problems = Problems()
    server.before_batch = refuse
    log = connect(server, errorHandler=problems)
    log("before", sync=60)
    log("poison")
    wait_until(lambda: log.server.lost == 1)
    log("after")
    assert log.flush(60)
    assert server.texts[0] == "before"
    assert "1 record(s) lost by pid" in server.texts[1]
    assert "refused" in server.texts[1]
    assert server.texts[2:] == ["after"]
    assert server.records[1][3][3] == "I"
    assert server.records[1][4] == {"lost": 1}
    assert any("refused" in text for text in problems.texts)


@pytest.mark.parametrize("has_spool", [False, True])
def test_batches_that_a_server_finds_too_large_are_cut(
    server: AckServer, connect: Callable[..., Any], tmp_path: Path, has_spool: bool
) -> None:
    """After the server's limit was lowered all records arrive, in smaller batches."""
    refused: list[int] = []

    def refuse(batch: Any) -> None:
        if batch[2] > 50:
            refused.append(batch[2])
            raise Refuse(4)

    server.before_batch = refuse
    server.acknowledges.clear()
    spool = tmp_path if has_spool else None
    log = connect(server, errorHandler="silent", spool=spool, buffer_bytes=1 << 20)
    log("first")
    server.wait_for_records(1)
    for text in numbers(2000):
        log(text)
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    for text in numbers(500):
        log(text)
    assert log.flush(60)
    assert server.texts == ["first", *numbers(2000), *numbers(500)]
    assert log.server.lost == 0
    # It learns: each batch is not refused anew.
    assert len(refused) < 20
    buffer = log.server._sender.buffer
    assert buffer.held == 0
    assert buffer.room == 1 << 20


def test_a_malformed_record_costs_no_other(server: AckServer, connect: Callable[..., Any]) -> None:
    """Of a batch that is refused for one record, all others arrive; later ones are not cut."""

    def refuse(batch: Any) -> None:
        if "poison" in batch[7]:
            raise Refuse(4)

    server.before_batch = refuse
    server.acknowledges.clear()
    log = connect(server, errorHandler="silent")
    log("first")
    server.wait_for_records(1)
    for text in [*numbers(100), "poison", *numbers(100)]:
        log(text)
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    texts = server.texts
    assert [*texts[:101], *texts[102:]] == ["first", *numbers(100), *numbers(100)]
    assert "1 record(s) lost" in texts[101]
    assert log.server.lost == 1
    assert log.server._sender._courier.link._outgoing.is_plain


def test_a_damaged_record_in_the_spool_costs_no_other(
    server: AckServer, connect: Callable[..., Any], tmp_path: Path
) -> None:
    """A record that its own process can't read back is told of; all others arrive."""
    problems = Problems()
    log = connect(server.port, errorHandler=problems, spool=tmp_path)
    server.acknowledges.clear()
    for n in range(1, 21):
        log(f"number {n}")
    server.wait_for_records(20)
    (path,) = (path for path in tmp_path.rglob("*.rows") if b"number 10" in path.read_bytes())
    with path.open("r+b") as file:
        file.seek(file.read().index(b"number 10"))
        file.write(b"x")
    # Sent once, it is read from the file if it has to be sent again.
    server.marks.clear()
    server.records.clear()
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    texts = server.texts
    assert [*texts[:9], *texts[10:]] == [f"number {n}" for n in range(1, 21) if n != 10]
    assert texts[9] == f"1 record(s) lost by pid {os.getpid()}: the spool was damaged"
    assert server.records[9][4] == {"lost": 1}
    assert problems.texts == [texts[9]]
    assert log.server.lost == 1
    log.close(60)

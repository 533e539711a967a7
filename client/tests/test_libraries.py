"""structlog and loguru, the real packages, with their fields as items."""

from __future__ import annotations

import decimal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import loguru
import pytest
import structlog
from ack_server import AckServer
from loguru._logger import Core, Logger

from logd_client import Log, LoguruSink, StructlogProcessor, bind, createClientLog

LOOPBACK = "127.0.0.1"


@pytest.fixture
def log(server: AckServer) -> Iterator[Log]:
    """A log to the server."""
    with createClientLog(LOOPBACK, server.port, static={"service": "shop"}) as made:
        yield made


@pytest.fixture
def loguru_logger() -> Any:
    """A logger of loguru with no sink of its own."""
    return Logger(Core(), None, 0, False, False, False, False, True, [], {})


def test_structlog_fields_are_typed_items(server: AckServer, log: Log) -> None:
    """The event is the message, the level the category, the place the app's line."""
    logger = structlog.wrap_logger(
        None,
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            StructlogProcessor(log),
        ],
        wrapper_class=structlog.BoundLogger,
    ).bind(user="ann", n=3)
    with structlog.contextvars.bound_contextvars(request="r"), bind(bound=True):
        logger.error("paid", price=decimal.Decimal("1.10"), ok=True)
    line = sys._getframe().f_lineno - 1
    assert log.flush(60)
    ((_, _, msg, context, special),) = server.records
    assert (msg, context[3]) == ("paid", "E")
    assert context[4][0] == (__file__, line)
    assert context[6] == "test_structlog_fields_are_typed_items"
    assert special == {
        "service": "shop",
        "bound": True,
        "request": "r",
        "user": "ann",
        "n": 3,
        "price": "1.10",
        "ok": True,
    }


def test_structlog_exceptions_follow_the_message(server: AckServer, log: Log) -> None:
    """An exception's traceback is part of the message, whoever makes text of it."""
    plain = structlog.wrap_logger(None, processors=[StructlogProcessor(log)])
    early = structlog.wrap_logger(
        None, processors=[structlog.processors.format_exc_info, StructlogProcessor(log)]
    )
    try:
        raise KeyError("gone")
    except KeyError as exc:
        plain.error("a", exc_info=True)
        plain.error("b", exc_info=exc)
        early.error("c", exc_info=True)
    assert log.flush(60)
    for text, record in zip("abc", server.records):
        assert record[2].startswith(f"{text}\nTraceback (most recent call last):")
        assert record[2].endswith("KeyError: 'gone'")
        assert record[4] == {"service": "shop"}


def test_structlog_may_go_on(server: AckServer, log: Log) -> None:
    """With `pass_on` the processors behind it get the same event."""
    seen: list[Any] = []

    def last(logger: Any, name: str, event: Any) -> str:
        seen.append(dict(event))
        return ""

    made = structlog.wrap_logger(
        structlog.testing.CapturingLogger(),
        processors=[StructlogProcessor(log, pass_on=True), last],
        wrapper_class=structlog.BoundLogger,
    )
    made.info("m", n=1)
    made.log("m", level="trace")
    assert log.flush(60)
    assert seen == [{"event": "m", "n": 1}, {"event": "m", "level": "trace"}]
    assert [(record[3][3], record[4]) for record in server.records] == [
        ("I", {"service": "shop", "n": 1}),
        ("", {"service": "shop", "level": "trace"}),
    ]


def test_loguru_fields_are_typed_items(server: AckServer, log: Log, loguru_logger: Any) -> None:
    """The message is as the app gave it; what is bound or contextualized are items."""
    loguru_logger.add(LoguruSink(log), format="ignored {message}")
    with loguru_logger.contextualize(request="r"), bind(bound=True):
        loguru_logger.bind(user="ann", n=3).warning("paid {price}", price=decimal.Decimal("1.10"))
    line = sys._getframe().f_lineno - 1
    loguru_logger.success("done")
    assert log.flush(60)
    first, second = server.records
    assert (first[2], first[3][3]) == ("paid 1.10", "W")
    assert first[3][4] == ((__file__, line),)
    assert first[3][2] == threading.current_thread().name
    assert first[4] == {
        "service": "shop",
        "bound": True,
        "logger": __name__,
        "request": "r",
        "user": "ann",
        "n": 3,
        "price": "1.10",
    }
    assert (second[2], second[3][3], second[4]["level"]) == ("done", "I", "SUCCESS")


def test_loguru_exceptions_follow_the_message(
    server: AckServer, log: Log, loguru_logger: Any
) -> None:
    """An exception's traceback is part of the message, also with a queue between."""
    loguru_logger.add(LoguruSink(log), enqueue=True)
    try:
        raise KeyError("gone")
    except KeyError:
        loguru_logger.exception("failed")
    loguru_logger.complete()
    assert log.flush(60)
    loguru_logger.remove()
    ((_, _, msg, context, _),) = server.records
    assert msg.startswith("failed\nTraceback (most recent call last):")
    assert msg.endswith("KeyError: 'gone'")
    assert context[2] == "MainThread"
    assert loguru.__version__

"""`LogdHandler`: the standard `logging` to a server."""

from __future__ import annotations

import logging
import logging.config
import sys
import time
from collections.abc import Callable

import pytest
from ack_server import AckServer
from delivery import LOOPBACK
from handled import own_handler, stored

from logd_client import LogdHandler, LogServerProxy, logging23


def test_a_class_of_the_apps_may_emit_in_its_own_way(server: AckServer) -> None:
    """Each record passes its `emit`; records of a class of their own have their own text."""

    class Shouting(LogdHandler):
        def emit(self, record: logging.LogRecord) -> None:
            record.msg += "!"
            super().emit(record)

    class Braced(logging.LogRecord):
        def getMessage(self) -> str:
            return str(self.msg).format(*self.args or ())

    handler = Shouting(LOOPBACK, (server.port,))
    handler.handle(logging.LogRecord("shop", 40, "a.py", 1, "sold %d", (5,), None))
    handler.addFilter(lambda record: record.levelno > 20)
    handler.handle(logging.LogRecord("shop", 20, "a.py", 1, "quiet", (), None))
    handler.handle(Braced("shop", 40, "a.py", 1, "sold {}", (6,), None))
    handler.server.close(60)
    assert server.texts == ["sold 5!", "sold 6!"]


@pytest.mark.parametrize("place", ["instance", "class"])
def test_emit_may_be_exchanged_later(
    place: str, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tools do that watch what is logged, or an app that wraps one handler."""
    handler = LogdHandler(LOOPBACK, (server.port,))
    seen: list[str] = []
    emit = LogdHandler.emit

    def watched(record: logging.LogRecord) -> None:
        seen.append(record.msg)
        emit(handler, record)

    if place == "instance":
        monkeypatch.setattr(handler, "emit", watched)
    else:
        monkeypatch.setattr(LogdHandler, "emit", lambda self, record: watched(record))
    handler.handle(logging.LogRecord("shop", 40, "a.py", 1, "sold", (), None))
    handler.server.close(60)
    assert seen == server.texts == ["sold"]


def test_a_record_arrives_whole(logger: logging.Logger, server: AckServer) -> None:
    """Text with its arguments, category, place, thread and logger are in the record."""
    logger.error("order %d of %s", 5, "ann")
    line = sys._getframe().f_lineno - 1
    ((msgid, when, msg, context, special),) = stored(logger, server)
    assert (msgid, msg, special) == (1, "order 5 of ann", {"logger": "shop.cart"})
    pid, tid, threadname, cat, path, tblen, cfunc = context
    assert (cat, path, tblen) == ("E", ((__file__, line),), 0)
    assert cfunc == "test_a_record_arrives_whole"
    assert threadname == "MainThread"
    assert min(pid, tid, when) > 0


def test_the_root_logger_has_no_item(server: AckServer) -> None:
    """Records of the root logger carry no name."""
    handler = LogdHandler(LOOPBACK, (server.port,))
    handler.handle(logging.makeLogRecord({"name": "root", "msg": "m", "levelno": 20}))
    assert handler.flush(60)
    assert server.records[0][4] == {}
    handler.close()


def test_levels_become_categories(
    logger: logging.Logger, server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard levels map by LEVELMAP; others to the next lower one, with their name as item."""
    for _ in range(2):
        for level in (50, 40, 30, 20, 10, 35):
            logger.log(level, "m")
    records = stored(logger, server)
    assert [record[3][3] for record in records] == ["C", "E", "W", "I", "D", "W"] * 2
    assert [record[4].get("level") for record in records] == [None] * 5 + ["Level 35"] + [
        None
    ] * 5 + ["Level 35"]
    for cat in "xy":
        monkeypatch.setitem(logging23.LEVELMAP, logging.ERROR, cat)
        logger.error("m")
    assert [record[3][3] for record in stored(logger, server)[-2:]] == ["x", "y"]


def test_exceptions_and_stacks_follow_the_message(
    logger: logging.Logger, server: AckServer
) -> None:
    """Exception and stack texts are part of the message; an exception is formatted once."""
    try:
        raise KeyError("gone")
    except KeyError:
        logger.exception("failed", stack_info=True)
        logger.warning("no text", exc_info=True)
    first, second = (record[2] for record in stored(logger, server))
    assert first.startswith("failed\nTraceback")
    assert "KeyError: 'gone'\nStack (most recent call last)" in first
    assert second.startswith("no text\nTraceback")


def test_a_formatter_makes_the_text(logger: logging.Logger, server: AckServer) -> None:
    """With a formatter the message is what it returns."""
    own_handler(logger).setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.warning("%s!", "m")
    assert stored(logger, server)[0][2] == "WARNING: m!"


def test_the_formatter_of_basicconfig_counts_as_none(
    logger: logging.Logger, server: AckServer
) -> None:
    """The one that `basicConfig` sets would only repeat level and logger in the text."""
    own_handler(logger).setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logger.warning("%s!", "m")
    assert stored(logger, server)[0][2] == "m!"


def test_filters_and_levels_apply(logger: logging.Logger, server: AckServer) -> None:
    """The handler's own level and filters decide as for every handler."""
    handler = own_handler(logger)
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    logger.info("low")
    logger.error("secret")
    logger.error("shown")
    assert [record[2] for record in stored(logger, server)] == ["shown"]


def test_bad_arguments_are_reported_as_logging_does(
    logger: logging.Logger, server: AckServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message that does not fit its arguments arrives as it is, and the app sees no error."""
    own_handler(logger).handle(logging.makeLogRecord({"msg": "%d", "args": ("text",)}))
    logger.error("next")
    first, second = (record[2] for record in stored(logger, server))
    assert first.startswith("%d [not formatted: TypeError: ")
    assert second == "next"
    assert "--- Logging error ---" in capsys.readouterr().err


def test_it_is_made_by_dictconfig(server: AckServer) -> None:
    """`logging.config.dictConfig` makes it, with settings of the connection."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "logd": {
                    "class": "logd_client.LogdHandler",
                    "level": "INFO",
                    "host": LOOPBACK,
                    "ports": [server.port],
                    "when_full": "drop",
                }
            },
            "loggers": {"configured": {"handlers": ["logd"], "level": "DEBUG"}},
        }
    )
    logger = logging.getLogger("configured")
    logger.debug("low")
    logger.info("high")
    assert [record[2] for record in stored(logger, server)] == ["high"]
    handler = own_handler(logger)
    logger.removeHandler(handler)
    handler.close()


def test_a_proxy_may_be_shared(server: AckServer) -> None:
    """A handler with a given proxy uses it, leaves it open, and allows no other settings."""
    proxy = LogServerProxy(LOOPBACK, (server.port,))
    for _ in range(2):
        handler = LogdHandler(server=proxy)
        handler.handle(logging.makeLogRecord({"msg": "m"}))
        handler.close()
    assert proxy.flush(60)
    assert len(server.records) == 2
    with pytest.raises(TypeError, match="spool can have no effect"):
        LogdHandler(server=proxy, spool="x")
    proxy.close()


def test_many_places_do_not_grow_memory(server: AckServer) -> None:
    """Places and logger names that a handler knows are bounded."""
    handler = LogdHandler(LOOPBACK, (server.port,))
    for n in range(10_000):
        handler.handle(
            logging.makeLogRecord({"name": f"n{n}", "msg": "m", "lineno": n, "levelno": 20})
        )
    assert len(handler._places) <= 4096
    assert len(handler._names) <= 4096
    assert handler.flush(60)
    assert len(server.records) == 10_000
    assert server.records[-1][4] == {"logger": "n9999"}
    handler.close()


@pytest.mark.parametrize("level", ["ERROR", logging.ERROR])
def test_a_record_of_the_flush_level_is_stored_when_the_call_returns(
    server: AckServer, level: int | str
) -> None:
    """Records below it wait for nothing; from it on the call returns when the server has all."""
    handler = LogdHandler(LOOPBACK, server.port, flush_level=level)
    for levelno in (10, 30, 40, 50):
        handler.handle(logging.makeLogRecord({"msg": str(levelno), "levelno": levelno}))
        if levelno >= 40:
            assert server.texts[-1] == str(levelno)
            assert handler.server.unacknowledged == 0
    handler.close()
    with pytest.raises(ValueError, match="flush_level 'LOUD': expected a level"):
        LogdHandler(LOOPBACK, server.port, flush_level="LOUD")


def test_a_flush_level_waits_for_no_server_that_is_away(free_port: Callable[[], int]) -> None:
    """Once it is known that nobody listens, the call returns at once."""
    handler = LogdHandler(
        LOOPBACK, free_port(), flush_level=0, exit_timeout_s=0, errorHandler="silent"
    )
    deadline = time.monotonic() + 60
    while not handler.server.last_error:
        handler.handle(logging.makeLogRecord({"msg": "m", "levelno": 50}))
        assert time.monotonic() < deadline
    began = time.monotonic()
    for _ in range(100):
        handler.handle(logging.makeLogRecord({"msg": "m", "levelno": 50}))
    assert time.monotonic() - began < 10  # and not 50
    handler.server.close()
    handler.close()

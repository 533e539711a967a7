"""What values of records and extras become on their way through a `LogdHandler`."""

from __future__ import annotations

import logging
import logging.config
import subprocess
import sys
from typing import Any

import pytest
from ack_server import AckServer
from delivery import LOOPBACK
from handled import own_handler, stored
from tests.values_table import VALUES, Broken, ValueRow

from logd_client import Log
from logd_client.values import flat_items


def test_extras_become_special_items(logger: logging.Logger, server: AckServer) -> None:
    """Scalars stay what they are, containers become JSON, all else text; of bounded length."""
    loop: list[Any] = []
    loop.append(loop)
    logger.info(
        "m",
        extra={
            "user": "ann",
            "n": 3,
            "ok": True,
            "rate": 0.5,
            "none": None,
            "cart": {"a": [1, "\u00e4"]},
            "long": ["x" * 20_000],
            "loop": loop,
            "thing": object,
        },
    )
    special = stored(logger, server)[0][4]
    assert special.pop("long").endswith("characters]")
    assert special == {
        "logger": "shop.cart",
        "user": "ann",
        "n": 3,
        "ok": True,
        "rate": 0.5,
        "none": None,
        "cart": '{"a": [1, "\u00e4"]}',
        "loop": "[[...]]",
        "thing": "<class 'object'>",
    }


def test_other_handlers_attributes_are_no_extras(logger: logging.Logger, server: AckServer) -> None:
    """What another handler's formatter left in the record is not taken for an extra."""
    record = logging.makeLogRecord({"name": "n", "msg": "m", "levelno": 20})
    logging.Formatter("%(asctime)s %(message)s").format(record)
    own_handler(logger).handle(record)
    assert stored(logger, server)[0][4] == {"logger": "n"}


def test_messages_of_other_types_become_text(logger: logging.Logger, server: AckServer) -> None:
    """Bytes are read as UTF-8, also before a traceback; anything else becomes its str()."""
    try:
        raise KeyError("gone")
    except KeyError:
        logger.exception("käse".encode())
    logger.error("käse".encode())
    logger.error(["a", 1])
    first, *others = (record[2] for record in stored(logger, server))
    assert first.splitlines()[0] == "käse"
    assert others == ["käse", "['a', 1]"]


def test_messages_may_be_any_object(logger: logging.Logger, server: AckServer) -> None:
    """A message that is no text is logged as its text."""
    logger.error({"a": 1})
    assert stored(logger, server)[0][2] == "{'a': 1}"


@pytest.mark.parametrize("created", [float("nan"), -5.0, 1e15])
def test_odd_records_harm_no_others(
    logger: logging.Logger, server: AckServer, created: float
) -> None:
    """A record with an impossible time or place arrives with possible ones."""
    logger.error("before")
    odd = {"msg": "odd", "created": created, "lineno": None, "process": 10**30, "levelno": 20}
    own_handler(logger).handle(logging.makeLogRecord(odd))
    logger.error("after")
    records = stored(logger, server)
    assert [record[2] for record in records] == ["before", "odd", "after"]
    assert 1e9 < records[1][1] < 1e10
    assert records[1][3][0] == 0
    assert records[1][3][4] == (("", 0),)


@pytest.mark.parametrize("row", VALUES, ids=lambda row: row.name)
def test_each_value_is_the_item_of_the_table(row: ValueRow) -> None:
    """Values of all kinds that applications log become the items that the table has."""
    key, item = flat_items({row.name: row.value})
    assert (key, item) == (row.name, row.item)
    assert type(item) is type(row.item)


def test_values_without_a_text_lose_no_record(
    logger: logging.Logger, server: AckServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """An object whose `str()` raises stands as a word about it: as extra, message or argument."""
    logger.info("as extra", extra={"broken": Broken(), "list": [Broken()], "ok": 1})
    # Not by the logger: pytest's own handler would raise.
    for record in ({"msg": Broken()}, {"msg": "as argument %s", "args": (Broken(),)}):
        own_handler(logger).handle(
            logging.makeLogRecord({"name": "shop.cart", "levelno": 20, **record})
        )
    log = Log(own_handler(logger).server)
    log("special", special={"broken": Broken(), "set": {Broken()}})
    log(Broken())
    word = "<Broken: str() raised RuntimeError>"
    records = [(record[2], record[4]) for record in stored(logger, server)]
    name = {"logger": "shop.cart"}
    assert records == [
        ("as extra", {**name, "broken": word, "list": f'["{word}"]', "ok": 1}),
        (word, name),
        ("as argument %s [not formatted: RuntimeError: no text]", name),
        ("special", {"broken": word, "set": f'["{word}"]'}),
        (word, {}),
    ]
    assert "--- Logging error ---" in capsys.readouterr().err


def test_what_loguru_binds_is_items(logger: logging.Logger, server: AckServer) -> None:
    """A dict under the name `extra`, as loguru gives what is bound, is spread into items."""
    logger.info("m", extra={"extra": {"user": "ann", "n": 3}})
    logger.info("m", extra={"extra": "text"})
    assert [record[4] for record in stored(logger, server)] == [
        {"logger": "shop.cart", "user": "ann", "n": 3},
        {"logger": "shop.cart", "extra": "text"},
    ]


def test_fields_of_a_record_factory_are_items(server: AckServer) -> None:
    """A factory set before the package is imported adds its fields to all records."""
    program = f"""
import logging
made = logging.getLogRecordFactory()
def factory(*args, **kwargs):
    record = made(*args, **kwargs)
    record.request_id = "req-7"
    return record
logging.setLogRecordFactory(factory)
from logd_client import LogdHandler
logging.getLogger().addHandler(LogdHandler("{LOOPBACK}", ({server.port},)))
logging.warning("m")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert [record[4] for record in server.records] == [{"request_id": "req-7"}]


@pytest.mark.parametrize(
    "odd",
    [
        {"name": ["a"]},
        {"threadName": {"a": 1}},
        {"levelno": "loud"},
        {"levelno": None},
        {"lineno": [1]},
        {"created": "now"},
        {"created": None},
        {"msg": None},
        {"funcName": Broken()},
    ],
    ids=lambda odd: next(iter(odd)),
)
def test_fields_of_any_type_lose_no_record(
    logger: logging.Logger, server: AckServer, odd: dict[str, Any]
) -> None:
    """A record with a field of a type that logging never gives it arrives, made plain."""
    made = {"name": "shop.cart", "levelno": 20, "msg": "m", **odd}
    own_handler(logger).handle(logging.makeLogRecord(made))
    logger.error("after")
    first, second = (record[2] for record in stored(logger, server))
    assert first == str(made["msg"])
    assert second == "after"

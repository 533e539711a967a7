"""Every kind of sender on one port, against the real daemon."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import pickle
import socket
import struct
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd_client import LogdHandler
from tests.clients import Connect
from tests.daemon_process import DaemonProcess, running

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
PYTHONS = sorted(PYENV.glob("*/bin/python")) if PYENV.is_dir() else []


@pytest.fixture(params=["uvloop", "asyncio"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that writes to files, on each event loop in turn."""
    with running("--loop", request.param, folder=tmp_path) as process:
        yield process


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return struct.pack(">L", len(payload)) + payload


def send(daemon: DaemonProcess, *payloads: bytes) -> None:
    """Send frames on a connection of their own."""
    with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
        sock.sendall(b"".join(map(frame, payloads)))


def record(msg: str, **special: object) -> tuple[object, ...]:
    """A record as the reference's clients send it."""
    path = (("/app/views.py", 42), ("/app/urls.py", 10))
    return (7, 4711, 1, "MainThread", 1700000000.5, msg, "E", path, 2, "charge", special)


def lines(daemon: DaemonProcess) -> list[str]:
    """Stop the daemon; the lines of its log."""
    assert daemon.stop() == 0, daemon.output
    return daemon.log_text().splitlines()


def test_all_kinds_share_a_port(daemon: DaemonProcess, connect: Connect) -> None:
    """Pickled and JSON tuples, LogRecords and sessions are told apart by their frames."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        send(daemon, pickle.dumps(record(f"pickle {protocol}", user="ann"), protocol))
    send(daemon, json.dumps(record("json")).encode(), b"", pickle.dumps("ping"), b'"ping"')
    handler = logging.handlers.SocketHandler("127.0.0.1", daemon.port)
    handler.handle(logging.makeLogRecord({"msg": "standard", "levelno": 30, "funcName": "f"}))
    handler.close()
    log = connect(daemon.port)
    log("session", "W")
    assert log.close(60)
    found = lines(daemon)
    texts = [line.split("\t")[0].split(" ", 3)[3] for line in found]
    assert sorted(texts) == sorted(
        [*(f"pickle {number}" for number in range(6)), "json", "standard", "session"]
    )
    first = next(line for line in found if "pickle 0" in line)
    microseconds, tid = first.split("\t")[1].split(" ")
    assert first.split(" ", 1)[1] == (
        f"E 4711#7 pickle 0\t{microseconds} {tid}\tMainThread\tcharge"
        "\tviews.py(42)<-urls.py(10)\tuser=ann"
    )


def test_order_of_a_connection_is_kept(daemon: DaemonProcess) -> None:
    """Records of one sender stand in the log in the order they were sent."""
    send(daemon, *(pickle.dumps(record(f"number {number}")) for number in range(5000)))
    numbers = [int(line.split("\t")[0].rsplit(" ", 1)[1]) for line in lines(daemon)]
    assert numbers == list(range(5000))


def test_exceptions_extras_and_levels_are_logged(daemon: DaemonProcess) -> None:
    """SocketHandler's exceptions and stack info are lines of the entry, extras its items."""
    logger = logging.Logger("shop.cart")
    handler = logging.handlers.SocketHandler("127.0.0.1", daemon.port)
    logger.addHandler(handler)
    try:
        raise KeyError("basket")
    except KeyError:
        logger.exception("failed for %s", "ann", extra={"order": 812}, stack_info=True)
    logger.log(25, "between the levels")
    handler.close()
    found = lines(daemon)
    assert " E " in found[0]
    assert "failed for ann" in found[0]
    assert found[0].endswith("\tlogger=shop.cart order=812")
    assert "  | Traceback (most recent call last):" in found
    assert "  | KeyError: 'basket'" in found
    assert "  | Stack (most recent call last):" in found
    assert " I " in found[-1]
    assert "level=" in found[-1]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_the_standard_handler_of_every_python(python: Path, tmp_path: Path) -> None:
    """SocketHandler of any CPython is understood: text, exception and extras."""
    program = textwrap.dedent(
        """
        # -*- coding: utf-8 -*-
        import logging, logging.handlers, sys
        logger = logging.getLogger("old.app")
        handler = logging.handlers.SocketHandler("127.0.0.1", int(sys.argv[1]))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.warning(u"gr\\xfc\\xdfe %d", 5, extra={"user": "ann"})
        try:
            1 / 0
        except ZeroDivisionError:
            logger.exception("broken")
        handler.close()
        """
    )
    with running(folder=tmp_path) as daemon:
        subprocess.run(
            [python, "-c", program, str(daemon.port)], check=True, stdin=subprocess.DEVNULL
        )
        found = lines(daemon)
    assert "grüße 5\t" in found[0]
    assert found[0].endswith("\tlogger=old.app user=ann")
    assert " E " in found[1]
    assert "broken\t" in found[1]
    assert any(line.startswith("  | ZeroDivisionError") for line in found)


def test_a_handler_of_the_client_carries_everything(daemon: DaemonProcess) -> None:
    """LogdHandler sends level, logger's name, exception and extras, exactly once."""
    logger = logging.Logger("shop")
    handler = LogdHandler(host="127.0.0.1", ports=(daemon.port,))
    logger.addHandler(handler)
    logger.critical("down", extra={"node": "a1"})
    assert handler.flush()
    handler.close()
    (line,) = lines(daemon)
    assert " C " in line
    assert "down\t" in line
    assert line.endswith("\tlogger=shop node=a1")


def test_whatever_a_text_contains_is_one_entry(daemon: DaemonProcess, connect: Connect) -> None:
    """Line breaks, escapes, NUL, surrogates and a forged entry stay inside their entry."""
    forged = "a\n2026-01-01T00:00:00.000+0000 E 1#1 forged\tx\tx\tx\t"
    nasty = "\x1b[2J\0\x9b1m\u2028\u202etxt\ud800\r\x07"
    log = connect(daemon.port)
    for text in (forged, nasty):
        log(text, "W", special={"key": text})
    assert log.close(60)
    send(daemon, pickle.dumps(record(forged)), pickle.dumps(record(nasty)))
    found = lines(daemon)
    entries = [line for line in found if not line.startswith("  | ")]
    assert len(entries) == 4
    text = "\n".join(found)
    assert not [c for c in text if c != "\n" and c != "\t" and not c.isprintable()]

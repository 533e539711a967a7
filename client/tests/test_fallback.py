"""What can't be delivered before the end goes to a file or a handler, if there is one."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ack_server import AckServer
from delivery import Problems

from logd_client import Log, LogdHandler, createClientLog

LOOPBACK = "127.0.0.1"


class Keeper(logging.Handler):
    """Keeps the records it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def letters(path: Path) -> list[dict[str, object]]:
    """The records in a file of dead letters."""
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("is_handler", [False, True], ids=["Log", "LogdHandler"])
def test_the_end_without_a_server_fills_the_file(
    tmp_path: Path, free_port: Callable[[], int], is_handler: bool
) -> None:
    """What a process could not deliver is in the file, whole, and nobody else may read it."""
    path = tmp_path / "undelivered.jsonl"
    program = f"""
import atexit
atexit.register(lambda: log("late"))
import logging
from logd_client import Log, LogdHandler, createClientLog
settings = {{"fallback": "{path}", "exit_timeout_s": 0.2}}
if {is_handler}:  # which is closed by `logging` once more
    handler = LogdHandler("{LOOPBACK}", {free_port()}, **settings)
    logging.getLogger().addHandler(handler)
    log = Log(handler.server)
else:
    log = createClientLog("{LOOPBACK}", {free_port()}, **settings)
for n in range(1000):
    log(f"m{{n}} ä", "E", special={{"n": n}})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    records = letters(path)
    assert [record["msg"] for record in records] == [*[f"m{n} ä" for n in range(1000)], "late"]
    assert [record["special"] for record in records] == [*[{"n": n} for n in range(1000)], {}]
    assert records[0]["msgid"] == 1
    assert records[0]["cat"] == "E"
    assert "1000 record(s) given to the fallback" in done.stderr
    assert "lost" not in done.stderr
    assert path.stat().st_mode & 0o777 == 0o600


ENDED = """
import signal, sys, threading
from logd_client import createClientLog
log = createClientLog("{host}", {port}, fallback="{path}", exit_timeout_s=0.2)
def stop(*_):
    log("stopping")
    sys.exit(3)
{handler}
for n in range(100):
    log(str(n))
print("logged", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize(
    ("number", "handler", "said"),
    [
        (signal.SIGTERM, "signal.signal(signal.SIGTERM, stop)", ["stopping"]),
        (signal.SIGINT, "", []),
        (signal.SIGHUP, "signal.signal(signal.SIGHUP, lambda *_: 1 / 0)", []),
    ],
)
def test_a_kill_that_python_sees_fills_the_file(
    tmp_path: Path, free_port: Callable[[], int], number: int, handler: str, said: list[str]
) -> None:
    """Ended by a signal that something handles, while the server is away: all is in the file."""
    path = tmp_path / "undelivered.jsonl"
    program = ENDED.format(host=LOOPBACK, port=free_port(), path=path, handler=handler)
    app = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert app.stdout is not None
    assert app.stdout.readline() == "logged\n"
    app.send_signal(number)
    app.communicate(timeout=60)
    assert app.returncode != -signal.SIGTERM
    assert [record["msg"] for record in letters(path)] == [*[str(n) for n in range(100)], *said]


def test_only_what_is_not_stored_goes_there(tmp_path: Path) -> None:
    """Records that the server acknowledged are not in the file; the others are, once."""
    path = tmp_path / "undelivered.jsonl"
    with AckServer() as server:
        log = createClientLog(
            LOOPBACK, server.port, fallback=str(path), exit_timeout_s=0, errorHandler="silent"
        )
        log("stored", sync=60)
        server.acknowledges.clear()
        for n in range(10):
            log(str(n))
    for n in range(10, 20):
        log(str(n))
    log.close()
    log.close()
    assert [record["msg"] for record in letters(path)] == [str(n) for n in range(20)]
    assert log.server.lost == 0


def test_a_handler_takes_them_as_records_of_logging(free_port: Callable[[], int]) -> None:
    """A handler of `logging` gets records with their text, level, place, time and items."""
    keeper = Keeper()
    handler = LogdHandler(
        LOOPBACK, free_port(), fallback=keeper, exit_timeout_s=0, errorHandler="silent"
    )
    made = logging.makeLogRecord(
        {"name": "shop", "levelno": 40, "msg": "%d sold", "args": (5,), "user": "ann", "lineno": 7}
    )
    handler.handle(made)
    Log(handler.server)("by a log", "W")
    handler.server.close()
    handler.close()
    first, second = keeper.records
    assert (first.name, first.getMessage(), first.levelname) == ("shop", "5 sold", "ERROR")
    assert (first.lineno, first.user) == (7, "ann")  # type: ignore[attr-defined]
    assert abs(first.created - made.created) < 1e-6
    assert (second.getMessage(), second.levelno) == ("by a log", 30)


def test_a_fallback_that_fails_is_told(free_port: Callable[[], int], tmp_path: Path) -> None:
    """If the file can't be written, the records are lost, and both is said."""
    problems = Problems()
    log = createClientLog(
        LOOPBACK, free_port(), fallback=tmp_path, exit_timeout_s=0, errorHandler=problems
    )
    log("m")
    log.close()
    assert any("Is a directory" in text for text in problems.texts)
    assert any("1 record(s) lost by pid" in text for text in problems.texts)
    assert log.server.lost == 1

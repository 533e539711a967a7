"""Outputs with a choice of their own, in real daemons: each gets what it asks for, once."""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
from pathlib import Path

import pytest

from logd.daemon.choosing import chooser
from logd.query.controlclient import ControlClient
from logd.query.terms import WrongSelection
from logd.records.batch import Batch
from tests.clients import Connect
from tests.daemon_process import DaemonProcess, running
from tests.record_making import make_job

PATIENCE_S = 60.0

SETTINGS = """
file = "app.log"
state_dir = "state"

[[outputs]]
file = "errors.log"
select = "cat:E,C"
rotate_count = 30

[[outputs]]
file = "shop.json"
select = "logger:shop.* -cat:D"
line_format = "json"
"""


def lines(path: Path) -> list[str]:
    """The numbers of the records in a file."""
    return re.findall(r"record (\d+)", path.read_text())


def log_some(port: int, first: int) -> None:
    """Log ten records by a SocketHandler: errors of the shop, others of the desk."""
    handler = logging.handlers.SocketHandler("127.0.0.1", port)
    try:
        for number in range(first, first + 10):
            name, level = ("shop.cart", "ERROR") if number % 2 else ("desk", "INFO")
            fields = {"name": name, "levelno": getattr(logging, level), "levelname": level}
            handler.emit(logging.makeLogRecord({**fields, "msg": f"record {number}"}))
    finally:
        handler.close()


def test_each_output_gets_its_choice(tmp_path: Path) -> None:
    """By category and by logger, with a format and a retention of its own; the first gets all."""
    (tmp_path / "logd.toml").write_text(SETTINGS)
    with running("--config", "logd.toml", folder=tmp_path) as daemon:
        log_some(daemon.port, 0)
        assert daemon.stop() == 0
    assert lines(tmp_path / "app.log") == [str(number) for number in range(10)]
    assert lines(tmp_path / "errors.log") == ["1", "3", "5", "7", "9"]
    shop = [json.loads(line) for line in (tmp_path / "shop.json").read_text().splitlines()]
    assert [entry["logger"] for entry in shop] == ["shop.cart"] * 5


def test_a_reload_adds_changes_and_removes(tmp_path: Path, connect: Connect) -> None:
    """Outputs come, get another choice and go; what stays loses nothing."""
    path = tmp_path / "logd.toml"
    plain = 'file = "app.log"\nstate_dir = "state"\n'
    table = '[[outputs]]\nfile = "errors.log"\nselect = "cat:{}"\n'
    path.write_text(plain)
    with running("--config", "logd.toml", folder=tmp_path) as daemon:
        log = connect(daemon.port)
        with ControlClient([tmp_path / "state/control.sock"], PATIENCE_S) as client:
            for start, text in ((0, None), (3, "E"), (6, "W"), (9, None)):
                path.write_text(plain + (table.format(text) if text else ""))
                changed = client.ask({"do": "reload"})["changed"]
                assert list(changed) == ([] if start == 0 else ["outputs"])
                for number, cat in enumerate("EWI", start):
                    log(f"record {number}", cat)
                assert log.flush(PATIENCE_S)
        assert daemon.stop() == 0
    assert lines(tmp_path / "app.log") == [str(number) for number in range(12)]
    assert lines(tmp_path / "errors.log") == ["3", "7"]


def test_a_session_goes_on_beside_an_output_that_wants_nothing_of_it(
    tmp_path: Path, connect: Connect
) -> None:
    """After kill -9 the client sends what is open, each output has its records once."""
    (tmp_path / "logd.toml").write_text(SETTINGS)
    with running("--config", "logd.toml", folder=tmp_path) as daemon:
        log = connect(daemon.port)
        for number in range(50):
            log(f"record {number}", "I" if number % 10 else "E")
        assert log.flush(30)
        port = daemon.port
        daemon.kill()
    for number in range(50, 100):
        log(f"record {number}", "I" if number % 10 else "E")
    with running("--config", "logd.toml", folder=tmp_path, port=port) as daemon:
        assert log.flush(60)
        assert daemon.stop() == 0
    assert lines(tmp_path / "app.log") == [str(number) for number in range(100)]
    assert lines(tmp_path / "errors.log") == [str(number) for number in range(0, 100, 10)]
    assert "lost" not in daemon.output


def test_wrong_selections_end_the_start(tmp_path: Path) -> None:
    """One line that names the output and what is wrong; nothing is made on disk."""
    (tmp_path / "logd.toml").write_text('[[outputs]]\nfile = "e.log"\nselect = "pid:x"\n')
    daemon = DaemonProcess("--config", "logd.toml", folder=tmp_path)
    assert daemon.wait() == 2
    assert daemon.lines[-1] == (
        f"logd: output file:{tmp_path / 'e.log'}: select: pid is a number, not 'x'"
    )
    assert not (tmp_path / "e.log").exists()


@pytest.mark.parametrize(
    ("select", "wanted"),
    [
        ("cat:E", [0, 2]),
        ("-cat:E", [1, 3]),
        ("user:ann", [0, 1]),
        ("cat:E user:ann", [0]),
        ("failed", [0, 3]),
        ("/ok$/", [1, 2]),
        ("has:user", [0, 1, 2]),
        ("nothing", []),
    ],
)
def test_records_are_chosen(select: str, wanted: list[int]) -> None:
    """By what the place says, by items, by texts."""
    rows = [("E", "failed", "ann"), ("I", "ok", "ann"), ("E", "ok", "bob"), ("I", "failed", "")]
    jobs = [
        make_job(msg, cat=cat, msgid=number, special={"user": user} if user else {})
        for number, (cat, msg, user) in enumerate(rows)
    ]
    chosen = chooser(select)(Batch.from_jobs(jobs))
    assert ([] if chosen is None else list(chosen.msgid)) == wanted


def test_a_wrong_selection_is_refused() -> None:
    """What can't match is said at once."""
    with pytest.raises(WrongSelection):
        chooser('"open')

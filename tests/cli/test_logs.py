"""The daemon's own log on standard error."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.cli import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put logging back as pytest had it."""
    root, own = logging.getLogger(), logging.getLogger("logd")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], root.level, own.level = before


def failure() -> None:
    """Log an error with a traceback."""
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("logd.x").exception("it broke")


def test_lines_for_people() -> None:
    """On a terminal or in a file each record has time, level and logger."""
    stream = io.StringIO()
    logs.configure("info", stream, {})
    logging.getLogger("logd.daemon").info("ready on %s", "x")
    line = stream.getvalue()
    assert re.fullmatch(r"[-\d]{10} [\d:,]{12} INFO logd\.daemon: ready on x\n", line)


def test_lines_for_the_journal(tmp_path: Path) -> None:
    """For journald each line begins with its priority, and the time is left to it."""
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        logs.configure("debug", stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        failure()
        for level in ("debug", "info", "warning", "critical"):
            getattr(logging.getLogger("logd.x"), level)("word")
        stream.seek(0)
        lines = stream.read().splitlines()
    assert lines[0] == "<3>logd.x: it broke"
    assert "<3>  | ValueError: bad" in lines
    assert lines[-4:] == [f"<{number}>logd.x: word" for number in (7, 6, 4, 2)]


def test_a_stream_that_is_not_the_journals_gets_lines_for_people(tmp_path: Path) -> None:
    """Redirected away from the journal, lines have their time again."""
    with (tmp_path / "file").open("w+") as stream:
        logs.configure("info", stream, {"JOURNAL_STREAM": "1:2"})
        logging.getLogger("logd").warning("word")
        stream.seek(0)
        assert "WARNING logd: word" in stream.read()


def test_levels() -> None:
    """The level counts for logd's own records; of other packages warnings are shown."""
    stream = io.StringIO()
    logs.configure("debug", stream, {})
    logging.getLogger("logd.x").debug("own")
    logging.getLogger("other").info("chatter")
    logging.getLogger("other").warning("trouble")
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["own", "trouble"]


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream the log goes to standard error."""
    logs.configure("info", None, {})
    logging.getLogger("logd").info("word")
    assert sys.stderr is not None
    assert "INFO logd: word" in capsys.readouterr().err

"""Records as logfmt, written and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.outputs.files.output import FileOutput
from logd.query.files.source import FileSource
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.rotation.policy import RotationPolicy
from logd.text.logfmtlines import LogfmtFormat, read
from logd.text.reading import LineReader
from tests.outputs.output_making import make_batch, make_settings

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: no'


def test_one_record_a_line() -> None:
    """Fields stand in their order, then the items; texts are quoted if they must be."""
    special = {0: {"logger": "shop.cart", "order": 7, "pid": "x", "tags": ["a"], "n": "5"}}
    batch = make_batch([f'"quoted" and\nmore\n{TRACEBACK}'], special=special)
    (line,) = LogfmtFormat().format_batch(batch)
    time, _, rest = line.partition(" ")
    assert time.startswith("time=2")
    assert time[24:31] == ".000000"
    assert rest == (
        r'level=ERROR cat=E msgid=1 msg="\"quoted\" and\nmore" '
        r'exception="Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n'
        r'ValueError: no" logger=shop.cart pid=4711 thread=MainThread tid=1 func=charge '
        r'path="views.py(42)" order=7 item.pid=x tags="[\"a\"]" n="5"'
    )


@pytest.mark.parametrize("line", ["time=", "time=x msg=y", "time=2026-01-01T00:00:00 msg=3", "a=b"])
def test_what_is_no_such_line(line: str) -> None:
    """Other lines are no entries of this kind, and are shown as they are."""
    assert read(line) is None
    assert LineReader().read(line.encode()).msg == line


def test_a_log_of_logfmt_is_searched(tmp_path: Path) -> None:
    """Search by category, item and text finds the same as in a log of the default layout."""
    settings = make_settings(
        tmp_path, line_format=LogfmtFormat(), rotation=RotationPolicy(lines=3), compress="gzip"
    )
    output = FileOutput(str(tmp_path / "app.log"), settings)
    output.open()
    special: dict[int, dict[str, str | int]] = {1: {"order": 812}}
    output.write([make_batch([f"message {n}\nmore" for n in range(5)], special=special)])
    assert output.wait_idle()
    output.close()
    source = FileSource(str(tmp_path / "app.log"), lambda note: None)
    assert [entry.msg for entry in source.entries()] == [f"message {n}\nmore" for n in range(5)]
    for words, count in (("cat:E", 5), ("order:812", 1), ('"message 1"', 1), ("order:>900", 0)):
        selection = Selection(terms=parse(words))
        assert source.summarise(selection).total == count
        assert len(list(source.entries(selection))) == count

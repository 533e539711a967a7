"""Records as JSON lines, written and read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.files.output import FileOutput
from logd.query.files.source import FileSource
from logd.query.selection import EVERYTHING
from logd.records.batch import Batch
from logd.rotation.policy import RotationPolicy
from logd.text.jsonlines import JsonFormat, read
from logd.text.reading import LineReader
from tests.outputs.output_making import make_batch, make_settings
from tests.query.log_making import select

TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: no'


def lines_of(batch: Batch) -> list[dict[str, Any]]:
    """The objects of a batch."""
    data = JsonFormat().encode_batch(batch)
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def test_one_object_a_line() -> None:
    """All names stand there, with times to the microsecond and items of their own types."""
    special = {0: {"logger": "shop.cart", "order": 7, "price": 1.5, "paid": True, "tags": ["a"]}}
    (found,) = lines_of(make_batch(['"quoted" \\ and\nmore'], special=special))
    time = found.pop("time")
    assert time[19:26] == ".000000"
    assert time[-6] in "+-"
    assert found == {
        "cat": "E",
        "level": "ERROR",
        "pid": 4711,
        "peer": "",
        "threadname": "MainThread",
        "tid": 1,
        "cfunc": "charge",
        "path": "views.py(42)",
        "msgid": 1,
        "msg": '"quoted" \\ and\nmore',
        "logger": "shop.cart",
        "special": {"order": 7, "price": 1.5, "paid": True, "tags": ["a"]},
    }


def test_an_exception_has_a_field_of_its_own() -> None:
    """A traceback behind a message, or as all of it, is not in the message."""
    first, second, third = lines_of(
        make_batch([f"payment failed\n{TRACEBACK}", TRACEBACK, "one\ntwo"])
    )
    assert (first["msg"], first["exception"]) == ("payment failed", TRACEBACK)
    assert (second["msg"], second["exception"]) == ("", TRACEBACK)
    assert "exception" not in third


@pytest.mark.parametrize(
    "line",
    ["{", '{"time":"', '{"time":"x","msg":"y"}', '{"time":"2026-01-01","msg":3}', "[]", "12"],
)
def test_what_is_no_such_line(line: str) -> None:
    """Other lines are no entries of this kind, and are shown as they are."""
    assert read(line) is None
    assert LineReader().read(line.encode()).msg == line


def test_a_log_of_json_lines_is_searched(tmp_path: Path) -> None:
    """Search by category, item and text finds the same as in a log of the default layout."""
    settings = make_settings(
        tmp_path, line_format=JsonFormat(), rotation=RotationPolicy(lines=3), compress="gzip"
    )
    output = FileOutput(str(tmp_path / "app.log"), settings)
    output.open()
    special: dict[int, dict[str, str | int]] = {1: {"order": 812}}
    output.write([make_batch(["one", "two", f"three\n{TRACEBACK}", "four"], special=special)])
    assert output.wait_idle()
    output.close()
    source = FileSource(str(tmp_path / "app.log"), lambda note: None)
    assert [entry.msg for entry in source.entries()] == [
        "one",
        "two",
        f"three\n{TRACEBACK}",
        "four",
    ]
    assert source.summarise(EVERYTHING).total == 4
    for selection, count in [
        (select(cats=frozenset("E")), 4),
        (select(cats=frozenset("W")), 0),
        (select(since=2e9), 0),
        (select(since=1.0), 4),
    ]:
        assert source.summarise(selection).total == count

"""Which items of records are worth counting."""

from __future__ import annotations

from pathlib import Path

from logd.query.files.source import FileSource
from logd.query.selection import EVERYTHING
from logd.web.answers.items import item_fields
from logd.web.answers.limits import ScanLimits
from tests.query.log_making import record, write_log


def _fields(folder: Path, count: int) -> list[str]:
    items = [
        {
            "user": f"user{n % 5}",
            "order": n,
            "ms": n % 40,
            "status": (200, 404)[n % 2],
            "request_id": "one",
            "host": f"h{n % 3}",
            "<b>": "x",
            "logger": "shop",
        }
        for n in range(count)
    ]
    write_log(folder / "x_%d.log", [record(n, special=one) for n, one in enumerate(items)])
    source = FileSource(str(folder / "x_%d.log"), lambda note: None)
    return item_fields(source, EVERYTHING, ["request_id"], ScanLimits(60.0), lambda done: None)


def test_kinds_are_counted(tmp_path: Path) -> None:
    """Not what differs in each record, nor what is measured, nor what is shown elsewhere."""
    assert _fields(tmp_path, 200) == ["item.host", "status", "user"]


def test_few_records(tmp_path: Path) -> None:
    """Of a few records all that they have is worth a look, but names that are none."""
    assert _fields(tmp_path, 2) == ["item.host", "ms", "order", "status", "user"]

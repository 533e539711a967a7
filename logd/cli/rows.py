"""Rows for programs, as `--output` says: what `logd query --by` has counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from logd.cli.display import csv_line, logfmt_line
from logd.cli.printing import put

Row = Mapping[str, object]


class RowWriter:
    """Shows rows; those that are given together have the same keys. The caller closes it.

    Args:
        output: "json", "jsonl", "csv" or "logfmt".
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._is_first = True

    def put(self, rows: Iterable[Row]) -> None:
        """Show some rows, as a table of its own if they are CSV."""
        found = list(rows)
        lines = list(map(self._line, found))
        if not lines:
            return
        if self._output == "json":
            text = ("[\n" if self._is_first else ",\n") + ",\n".join(lines)
        elif self._output == "csv":
            text = ("" if self._is_first else "\n") + csv_line(found[0]) + "\n"
            text += "".join(f"{line}\n" for line in lines)
        else:
            text = "".join(f"{line}\n" for line in lines)
        self._is_first = False
        put(text.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Show what ends them."""
        if self._output == "json":
            put(b"[]\n" if self._is_first else b"\n]\n")

    def _line(self, row: Row) -> str:
        if self._output == "csv":
            return csv_line(map(_text, row.values()))
        if self._output == "logfmt":
            return logfmt_line({key: value for key, value in row.items() if value is not None})
        return json.dumps(row)


def _text(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value

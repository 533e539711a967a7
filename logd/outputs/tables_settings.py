"""Database columns as they stand in the settings: `user:String(64)`, `amount:Integer`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import types

from logd.outputs.base import OutputUnusable

_COLUMN = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*):(?:Integer|String\((?P<length>[1-9][0-9]{0,5})\))"
)


def parse_columns(texts: Sequence[str]) -> list[tuple[str, Any]]:
    """The columns as `DBConfig(cols=...)` takes them: (name, type).

    Raises:
        OutputUnusable: a text is none of the two kinds; names it.
    """
    columns: list[tuple[str, Any]] = []
    for text in texts:
        match = _COLUMN.fullmatch(text)
        if match is None:
            raise OutputUnusable(
                f'column {text!r}: expected "name:Integer" or "name:String(length)"'
            )
        length = match["length"]
        kind = types.Integer() if length is None else types.String(int(length))
        columns.append((match["name"], kind))
    return columns

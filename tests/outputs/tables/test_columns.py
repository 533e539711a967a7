"""Columns of the settings on real databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logd.outputs.base import OutputUnusable
from logd.outputs.tables.columns import parse_columns

if TYPE_CHECKING:
    from tests.outputs.table_making import Outputs


def test_each_type_takes_its_values(outputs: Outputs) -> None:
    """Items come into the columns of their names, whatever the case of the type."""
    columns = parse_columns(
        ["who:text", "sku:String(3)", "n:integer", "big:BigInteger", "ms:FLOAT"]
    )
    output = outputs.opened(columns=columns)
    items = {"who": "grün" * 100, "sku": "a-1", "n": 5, "big": 2**40, "ms": 1.25}
    output.write([outputs.batch(1, special={0: items})])
    (table,) = outputs.database.table_names()
    (row,) = outputs.database.rows(table)
    assert {name: row[name] for name in items} == items
    assert outputs.dead_letters.letters == []


@pytest.mark.parametrize("text", ["who", "who:varchar", "who:String", "who:Text(5)", "1a:Text"])
def test_other_types_are_refused(text: str) -> None:
    """The error names the column and the types that there are."""
    with pytest.raises(OutputUnusable, match=r"expected .*Text, String\(length\), Integer"):
        parse_columns([text])

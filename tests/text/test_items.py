"""Special items read back; `test_layout.py` holds them against the writer."""

from __future__ import annotations

import pytest

from logd.text.items import item_text, parse_items


@pytest.mark.parametrize(
    "text", ["word", "a=", "=1", "a=1  b=2", "a=1 ", 'a="x', "a=x\ty", '"\\q"=1']
)
def test_what_is_no_items(text: str) -> None:
    """Anything but key=value, parted by one blank each, is refused as a whole."""
    assert parse_items(text) is None


def test_values_as_people_write_them() -> None:
    """Every value has the text that is looked for by `--where`."""
    values = parse_items('a=1 b="1" c=true d=null e=1.5 f="x y" g=x') or {}
    assert [item_text(value) for value in values.values()] == [
        "1",
        "1",
        "true",
        "null",
        "1.5",
        "x y",
        "x",
    ]

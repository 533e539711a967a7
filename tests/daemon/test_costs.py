"""What records are expected to cost when they are written."""

from __future__ import annotations

import pytest

from logd.daemon.costs import text_bytes
from logd.records.batch import Batch
from logd.records.context import Context
from logd.text.lines import LineFormat


def batch_of(count: int, msg: str = "m", name: str = "t", item: str = "") -> Batch:
    """Records that share what is long."""
    context = Context(1, 1, name, "E", (), 0, "f")
    special = {row: items for items in [{"k": item}] for row in range(count)} if item else {}
    return Batch(
        contexts=[context],
        index=[0] * count,
        msgid=list(range(count)),
        time=[1.0] * count,
        msg=[msg] * count,
        special=special,
    )


@pytest.mark.parametrize(
    "long",
    [
        {"msg": "x" * 1000},
        {"name": "x" * 1000},
        {"item": "x" * 1000},
        {"msg": "\u202e" * 500},
        {"name": "\u202e" * 500},
        {"item": "\u202e" * 500},
        {"msg": "\u20ac" * 500},
    ],
    ids=lambda long: " ".join(f"{name} {text[0]!a}" for name, text in long.items()),
)
def test_long_texts_are_counted_as_they_are_written(long: dict[str, str]) -> None:
    """What the records share on the wire counts for each that has it, with its escapes."""
    batch = batch_of(100, **long)
    written = len(LineFormat().encode_batch(batch))
    assert 0.7 * written < text_bytes(batch) < 1.5 * written


def test_usual_records_cost_no_more_than_their_messages() -> None:
    """For records as they are one looks at nothing but their messages."""
    assert text_bytes(batch_of(10, msg="x" * 50)) == 10 * 50 + 9

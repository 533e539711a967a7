"""Records that the database refuses are found among all others."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Integer, String

from logd.outputs.base import OutputUnavailable
from tests.outputs.table_making import Outputs, numbered

ANN = b"ann's session id"


def test_one_refused_record_does_not_hold_up_the_others(outputs: Outputs) -> None:
    """A record that breaks a constraint goes to the dead letters; all others are written."""
    columns = [("order", Integer, {"unique": True}), ("user", String(9), {"nullable": False})]
    special: dict[int, dict[str, Any]] = {row: {"order": row, "user": "ann"} for row in range(100)}
    special[40]["order"] = 7
    del special[77]["user"]
    output = outputs.opened(columns=columns, lines=60)
    batches = [
        outputs.batch(100, special=special, client=ANN),
        outputs.batch(1, first=101, client=ANN, special={0: {"order": 200, "user": "bob"}}),
    ]
    output.write(batches)
    expected = [number for number in range(1, 102) if number not in (41, 78)]
    assert outputs.messages() == {"0": numbered(*expected[:60]), "1": numbered(*expected[60:])}
    assert [letter[0] for letter in outputs.dead_letters.letters] == numbered(41, 78)
    for _, reason, name in outputs.dead_letters.letters:
        assert re.search(r"(?i)unique|duplicate|null", reason)
        assert name == output.name
    output.close()
    assert outputs.make(columns=columns, lines=60).open() == {ANN: 101}


def test_a_batch_of_refused_records_only_counts_as_written(outputs: Outputs) -> None:
    """Where nothing of a batch is left its marks move all the same."""
    columns = [("user", String(9), {"nullable": False})]
    output = outputs.opened(columns=columns)
    output.write([outputs.batch(5, client=ANN)])
    output.write([outputs.batch(1, first=6, client=ANN, special={0: {"user": "ann"}})])
    assert len(outputs.dead_letters.letters) == 5
    assert outputs.messages() == {"0": numbered(6)}
    output.close()
    assert outputs.make(columns=columns).open() == {ANN: 6}


def test_dead_letters_that_can_not_be_stored_keep_the_batch(
    sqlite_outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as a refused record can't be put aside nothing of its batch counts as written."""
    outputs = sqlite_outputs
    letters = outputs.dead_letters
    output = outputs.opened(columns=[("user", String(9), {"nullable": False})])

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(letters, "put", full)
    batch = outputs.batch(2, special={0: {"user": "ann"}})
    with pytest.raises(OutputUnavailable, match="No space left"):
        output.write([batch])
    assert outputs.messages() == {"0": []}
    monkeypatch.undo()
    output.write([batch])
    assert outputs.messages() == {"0": numbered(1)}

"""What applications log as `extra`: the items made of what a `SocketHandler` sends."""

from __future__ import annotations

import logging
import logging.handlers
import pickle

import pytest

from logd.wire import Decoder, Frames
from tests.values_table import VALUES, ValueRow


def payloads(value: object) -> list[bytes]:
    """A record with the value among its extras, in each protocol of pickle."""
    made = logging.makeLogRecord({"name": "app", "msg": "m", "created": 1.5, "value": value})
    return [pickle.dumps(made.__dict__, protocol) for protocol in range(6)]


def item(payload: bytes) -> object:
    """The item that the value becomes."""
    (batch,) = Decoder().decode(Frames.of(payload))
    return batch.special[0]["value"]


@pytest.mark.parametrize("row", VALUES, ids=[row.name for row in VALUES])
def test_values_keep_their_value(row: ValueRow) -> None:
    """Each value of the table becomes its item, whatever protocol it is pickled with."""
    expected = row.item if row.pickled is None else row.pickled
    got = [item(payload) for payload in payloads(row.value)]
    assert got == [expected] * 6
    assert {type(one) for one in got} == {type(expected)}

"""The written protocol against the daemon: the table of limits, and the examples in bytes.

The protocol is the docstring of `logd_client/session.py`. The client's tests check the same bytes
against its encoder.
"""

from __future__ import annotations

import re

import pytest

from logd.records.batch import Batch
from logd.wire import Decoder, Frames, Opening, encode_ack, encode_refusal, limits
from logd.wire.frames import MAX_FRAME_BYTES
from logd.wire.session import MAX_OPENING_BYTES, MAX_TOKEN_CHARS, Refusal, read_opening
from logd_client import session

TEXT = session.__doc__ or ""
CLIENT = b"c" * 16


def spoken(number: int) -> dict[str, bytes]:
    """What the client and the server say in an example."""
    example = re.split(r"\n(?=[`\d])", TEXT[TEXT.index(f"\n{number}.  ") + 1 :])[0]
    said = {"client": b"", "server": b""}
    speaker = ""
    for line in example.splitlines():
        begin = re.match(r"    (client|server|   ) ", line)
        if begin and (speaker := begin[1].strip() or speaker):
            for word in line[11:].partition("#")[0].split():
                said[speaker] += word[1:-1].encode() if word[0] == '"' else bytes.fromhex(word)
    return said


def payloads(data: bytes) -> list[bytes]:
    """The payloads of the frames that the client sends."""
    found = []
    while data:
        length = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + length])
        assert len(found[-1]) == length
        data = data[4 + length :]
    return found


def decode(payload: bytes) -> Batch:
    """What the daemon makes of a frame of a session."""
    (batch,) = Decoder().decode(Frames.of(payload), peer="10.0.0.1", client=CLIENT)
    return batch


def test_the_example_of_an_opening_opens_a_session() -> None:
    """The daemon reads the client's part, and its answer has the bytes of the example."""
    said = spoken(1)
    (payload,) = payloads(said["client"])
    assert read_opening(payload) == Opening(1, CLIENT, 1, None)
    assert said["server"] == encode_ack(0)


def test_the_example_of_a_batch_has_two_records() -> None:
    """The daemon reads the two records that the example describes."""
    said = spoken(2)
    (payload,) = payloads(said["client"])
    batch = decode(payload)
    assert (batch.first, list(batch.msgid), list(batch.msg)) == (1, [1, 2], ["hi", "yo"])
    assert list(batch.time) == [1.0, 1.5]
    assert batch.special == {1: {"n": 5}}
    assert [tuple(context) for context in batch.contexts] == [
        (7, 9, "t", "E", (("a.py", 3),), 0, "")
    ]
    assert said["server"] == encode_ack(2)


def test_the_example_in_messagepack_means_the_same() -> None:
    """A simple sender's opening and batch are read, and the answers have the documented bytes."""
    said = spoken(3)
    opening, rows = payloads(said["client"])
    assert read_opening(opening) == Opening(1, CLIENT, 1, None)
    batch = decode(rows)
    assert (batch.first, list(batch.msgid), list(batch.msg)) == (1, [1], ["hi"])
    assert tuple(batch.contexts[0]) == (7, 9, "t", "E", (("a.py", 3),), 0, "")
    assert said["server"] == encode_ack(0) + encode_ack(1) + encode_refusal(Refusal.STOPPING)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("payload of a frame", MAX_FRAME_BYTES),
        ("payload of an opening", MAX_OPENING_BYTES),
        ("token", MAX_TOKEN_CHARS),
        ("records in a batch", limits.MAX_FRAME_ROWS),
        ("records in a simple batch", limits.MAX_SIMPLE_ROWS),
        ("objects in a batch of several records", session.MAX_BATCH_OBJECTS),
        ("pickle opcodes in a batch", limits.MAX_BATCH_OPCODES),
        ("time", limits.MAX_TIME),
        ("thread name, calling function", limits.MAX_NAME_CHARS),
        ("category", limits.MAX_CAT_CHARS),
        ("file name in a path", limits.MAX_FILE_CHARS),
        ("path, 8 more counted per level", limits.MAX_PATH_CHARS),
        ("items of a record", limits.MAX_SPECIAL_ITEMS),
        ("key of an item", limits.MAX_KEY_CHARS),
        ("value of an item", limits.MAX_VALUE_CHARS),
    ],
)
def test_the_table_has_the_limits_of_the_daemon(name: str, limit: float) -> None:
    """Each number in the protocol's table is the one that the daemon holds its peers to."""
    (row,) = re.findall(rf"^    {re.escape(name)}  +(.*)$", TEXT, re.MULTILINE)
    assert int(re.findall(r"[\d,]+", row)[-1].replace(",", "")) == limit


def test_the_protocol_says_what_a_frame_may_be_written_as() -> None:
    """The two formulas for the text of a batch have the daemon's factors."""
    assert f"{limits.EXPANSION} * N + {limits.EXPANSION_CHARS:,} characters" in TEXT
    assert f"{limits.MESSAGES_PER_FRAME_BYTE} * N + {limits.EXPANSION_CHARS:,}" in TEXT

"""The session protocol as the daemon reads it: openings, batches, answers."""

from __future__ import annotations

import hashlib
import pickle
import runpy
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.records.context import Context
from logd.wire import (
    Decoder,
    Frames,
    FrameSplitter,
    Opening,
    Refusal,
    WireError,
    encode_ack,
    encode_refusal,
    read_opening,
)
from logd_client.session import (
    REFUSALS,
    AnswerDecoder,
    encode_batch,
    encode_opening,
)
from logd_client.session import Context as ClientContext
from tests.wire.batches import CLIENT, batch_of, decode, rows_of, shared_batch

ROOT = Path(__file__).parents[2]
EXAMPLES = runpy.run_path(str(ROOT / "client/tests/wire_examples.py"))
OPENINGS = [row for row in EXAMPLES["WIRE_EXAMPLES"] if row[1][0] == "logd"]
BATCHES = [row for row in EXAMPLES["WIRE_EXAMPLES"] if row[1][0] == "batch"]


def check_against(batch: Batch, value: tuple[object, ...]) -> None:
    """Compare a batch with the columns that it was made of."""
    _, first, count, contexts, index, msgids, times, msgs, specials = value
    assert (batch.first, len(batch), batch.client, batch.peer) == (
        first,
        count,
        CLIENT,
        "10.0.0.1",
    )
    assert list(batch.contexts) == [Context(*fields) for fields in contexts]
    width = 1 if len(contexts) <= 256 else 2
    positions = [
        int.from_bytes(index[at : at + width], "big") for at in range(0, len(index), width)
    ]
    assert list(batch.index) == (positions or [0] * count)
    if isinstance(msgids, int):
        assert list(batch.msgid) == list(range(msgids, msgids + count))
    else:
        assert list(batch.msgid) == list(struct.unpack(f">{count}q", msgids))
    assert list(batch.time) == list(struct.unpack(f">{count}d", times))
    assert list(batch.msg) == (msgs.split("\0") if isinstance(msgs, str) else list(msgs))
    expected = {}
    for rows, *flat in specials:
        items = dict(zip(flat[::2], flat[1::2], strict=True))
        numbers = struct.unpack(f">{len(rows) // 2}H", rows) if type(rows) is bytes else (rows,)
        expected |= dict.fromkeys(numbers, items)
    assert batch.special == expected


@pytest.mark.parametrize(("name", "value", "frame"), BATCHES, ids=[row[0] for row in BATCHES])
def test_batches_of_the_byte_table(name: str, value: tuple[object, ...], frame: bytes) -> None:
    """The bytes that the client's encoder is tested with give the values beside them."""
    frames = FrameSplitter().feed(frame)
    assert frames is not None
    check_against(decode(frames.payload(0)), value)


@pytest.mark.parametrize(
    ("name", "value", "size", "digest"),
    EXAMPLES["LARGE_WIRE_EXAMPLES"],
    ids=[row[0] for row in EXAMPLES["LARGE_WIRE_EXAMPLES"]],
)
def test_large_batches_of_the_byte_table(
    name: str, value: tuple[object, ...], size: int, digest: str
) -> None:
    """Batches too long to be written out in the table are the same bytes, and are decoded."""
    payload = pickle.dumps(value, 4)
    frame = struct.pack(">I", len(payload)) + payload
    assert len(frame) in (size, size + 4)
    assert digest in (hashlib.sha256(frame).hexdigest(), hashlib.sha256(payload).hexdigest())
    check_against(decode(payload), value)


@pytest.mark.parametrize(("name", "value", "frame"), OPENINGS, ids=[row[0] for row in OPENINGS])
def test_openings_of_the_byte_table(name: str, value: tuple[object, ...], frame: bytes) -> None:
    """An opening gives version, client id, first number and token."""
    assert read_opening(frame[4:]) == Opening(*value[1:])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_openings_of_other_pickle_protocols(protocol: int) -> None:
    """A client may use any binary protocol that has bytes; protocol 2 has none of its own."""
    opening = read_opening(pickle.dumps(("logd", 1, CLIENT, 7, "token"), protocol))
    assert opening == (Opening(1, CLIENT, 7, "token") if protocol > 2 else None)


def test_openings_in_messagepack() -> None:
    """Other languages open a session with a MessagePack array."""
    payload = msgspec.msgpack.encode(["logd", 1, CLIENT, 3, None])
    assert read_opening(payload) == Opening(1, CLIENT, 3, None)


def test_an_opening_of_a_later_version_is_recognised() -> None:
    """Whatever a later protocol puts behind its version, the version can be refused by number."""
    opening = read_opening(pickle.dumps(("logd", 2, {"anything": 1}), 4))
    assert opening is None or opening.version == 2
    opening = read_opening(pickle.dumps(("logd", 2, "anything", 1, 2, 3), 4))
    assert opening == Opening(2, b"", 0, None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"logd",
        pickle.dumps("ping"),
        pickle.dumps((1, 2, 3)),
        pickle.dumps(("logd", 1, b"short", 1, None), 4),
        pickle.dumps(("logd", 1, CLIENT, 0, None), 4),
        pickle.dumps(("logd", 1, CLIENT, 1, "t" * 600), 4),
        pickle.dumps(("logd", 1, CLIENT, 1, b"token"), 4),
        pickle.dumps(("logd", True, CLIENT, 1, None), 4),
        pickle.dumps(("logd", 1, CLIENT, 1, None), 4)[:-3],
        b"\x95\xa4logd" + b"\xc1" * 4,
        b'["logd"]',
    ],
)
def test_other_first_frames_are_no_opening(payload: bytes) -> None:
    """What is no whole opening is None, never an error."""
    assert read_opening(payload) is None


def test_answers_are_the_structs_that_the_client_reads() -> None:
    """Acks and refusals are 12 bytes, as in the table; each code has a text at the client."""
    for _, number, data in EXAMPLES["ANSWER_EXAMPLES"]:
        made = encode_ack(number) if number < 1 << 63 else encode_refusal(number - (1 << 63))
        assert made == data
        assert AnswerDecoder().receive_data(made) == [number]
    assert {int(code) for code in Refusal} == set(REFUSALS)


names = st.text(max_size=20)
client_contexts = st.builds(
    lambda *fields: ClientContext(fields),
    st.integers(0, 2**31),
    st.integers(0, 2**63 - 1),
    names,
    st.text(max_size=3),
    st.lists(st.tuples(names, st.integers(0, 10**6)) | st.just((None, None)), max_size=3).map(
        tuple
    ),
    st.integers(0, 1000),
    names,
)
values = (
    names
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
)
items = st.dictionaries(names, values, max_size=3).map(
    lambda special: tuple([part for pair in special.items() for part in pair])
)
messages = st.text(st.characters(exclude_categories=()), max_size=50)


@given(st.data())
def test_what_the_client_encodes_comes_back(data: st.DataObject) -> None:
    """Any records that the client's encoder takes are the records of the batch."""
    known = data.draw(st.lists(client_contexts, min_size=1, max_size=4))
    shared = st.sampled_from(data.draw(st.lists(items, min_size=1, max_size=2)))
    row = st.tuples(
        st.sampled_from(known),
        st.integers(0, 2**62),
        st.floats(0, 253402300799, exclude_max=True),
        messages,
        shared | items,
    )
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    first = data.draw(st.integers(1, 2**62))
    batch = decode(encode_batch(first, rows)[4:])
    got = [
        (
            tuple(batch.contexts[batch.index[n]]),
            batch.msgid[n],
            batch.time[n],
            batch.msg[n],
            dict(batch.special.get(n, {})),
        )
        for n in range(len(batch))
    ]
    assert got == [
        (context.fields, msgid, time, msg, dict(zip(flat[::2], flat[1::2], strict=True)))
        for context, msgid, time, msg, flat in rows
    ]
    assert (batch.first, batch.last) == (first, first + len(rows) - 1)


@given(client_contexts, messages)
def test_a_cut_batch_is_refused(context: ClientContext, msg: str) -> None:
    """A batch that lacks bytes at its end is refused, wherever it is cut."""
    payload = encode_batch(1, [(context, 1, 1.0, msg, ("k", 1))])[4:]
    for cut in range(len(payload)):
        with pytest.raises(WireError):
            decode(payload[:cut])


def test_clients_opening_is_read() -> None:
    """The client's own encoder and this decoder agree on the opening."""
    assert read_opening(encode_opening(CLIENT, 5, "secret")[4:]) == Opening(1, CLIENT, 5, "secret")


ROW = (1, 2, 3, "t", 1.0, "m", "E", (("a.py", 1),), 5, "f", {"k": 1})


@pytest.mark.parametrize("protocol", range(6))
def test_simple_senders_batches(protocol: int) -> None:
    """A list of 11-tuples is a batch too, in every pickle protocol."""
    batch = decode(pickle.dumps(("batch", 9, [ROW, ROW]), protocol))
    assert (batch.first, batch.last, list(batch.msg)) == (9, 10, ["m", "m"])
    assert batch.contexts == (Context(2, 3, "t", "E", (("a.py", 1),), 5, "f"),)
    assert batch.special == {0: {"k": 1}, 1: {"k": 1}}


def test_simple_senders_batches_in_messagepack() -> None:
    """The same as MessagePack arrays."""
    batch = decode(msgspec.msgpack.encode(["batch", 9, [ROW, ROW]]))
    assert (batch.first, len(batch), batch.client) == (9, 2, CLIENT)


def test_frames_before_a_bad_one_are_kept() -> None:
    """The error has the number of the bad frame and the batches of the frames before it."""
    good = pickle.dumps(batch_of(first=1), 4), pickle.dumps(batch_of(first=2), 4)
    with pytest.raises(WireError) as caught:
        Decoder().decode(Frames.of(*good, b"bad", good[0]), client=CLIENT)
    assert caught.value.frame == 2
    assert [batch.first for batch in caught.value.batches] == [1, 2]


def test_records_that_share_items_share_one_object() -> None:
    """What stands in a batch once for many rows is checked and made once."""
    batch = shared_batch((rows_of(0, 2, 999), "logger", "shop"), (1, "logger", "pay"))
    assert batch.special == {
        0: {"logger": "shop"},
        1: {"logger": "pay"},
        2: {"logger": "shop"},
        999: {"logger": "shop"},
    }
    assert batch.special[0] is batch.special[2] is batch.special[999]
    assert shared_batch((rows_of(0, 1),)).special == {}


@pytest.mark.parametrize(
    "specials",
    [
        ((b"", "k", 1),),
        ((b"\0", "k", 1),),
        ((rows_of(1000), "k", 1),),
        ((rows_of(3, 3), "k", 1),),
        ((rows_of(3, 2), "k", 1),),
        ((rows_of(*range(1000), 999), "k", 1),),
        ((rows_of(0, 5), "k", 1), (5, "k", 2)),
        ((rows_of(0, 5), "k", 1), (rows_of(1, 5), "k", 2)),
        ((rows_of(1, 5), "k", 1), (rows_of(0, 6), "k", 2)),
        ((rows_of(1, 5), "k", 1), (0, "k", 2)),
        ((rows_of(1, 5), "k"),),
        (("\0\1", "k", 1),),
        ((True, "k", 1),),
    ],
)
def test_broken_row_numbers_are_refused(specials: tuple[tuple[object, ...], ...]) -> None:
    """Rows out of range, out of order or given twice are an error of the frame."""
    with pytest.raises(WireError):
        shared_batch(*specials)


def test_long_and_odd_paths_of_many_contexts_are_as_those_of_few() -> None:
    """Whether a batch has a few contexts or thousands, each call path is checked alike."""
    good: list[object] = [
        (),
        ((None, None),),
        (("a.py", None), (None, 3)),
        (("x" * 2000, 1),),
        tuple(("x" * 1000, n) for n in range(40)),
    ]
    bad: list[object] = [((1, 1),), ((0, 1),), (("a", "b"),), (("a", ""),), (("a", 2**70),)]

    def contexts(path: object, count: int) -> list[Context]:
        first = (1, 2, "t", "E", path, 4, "f")
        others = tuple((n, 2, "t", "E", (), 4, "f") for n in range(count - 1))
        value = batch_of(
            count=count,
            contexts=(first, *others),
            index=struct.pack(f">{count}H", *range(count)) if count > 256 else bytes(range(count)),
            times=struct.pack(">d", 1.0) * count,
            msgs="\0" * (count - 1),
        )
        return list(decode(pickle.dumps(value, 4)).contexts)

    for path in good[:4]:
        assert contexts(path, 2)[0].path == contexts(path, 2000)[0].path
    assert contexts(good[4], 2)[0].path != good[4]
    assert contexts(good[4], 2000)[0].path == contexts(good[4], 2)[0].path
    for path in bad:
        for count in (2, 2000):
            with pytest.raises(WireError):
                contexts(path, count)

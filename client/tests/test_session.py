"""The session protocol: bytes against the table and the description, and limits."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import pickletools
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from ack_server import decode_batch, items_by_row

from logd_client import session
from logd_client.session import (
    AnswerDecoder,
    Context,
    encode_answer,
    encode_batch,
    encode_batches,
    encode_lone,
    encode_opening,
    encode_refusal,
)

_spec = importlib.util.spec_from_file_location(
    "wire_examples", Path(__file__).with_name("wire_examples.py")
)
assert _spec is not None
assert _spec.loader is not None
wire_examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wire_examples)

CLIENT = b"c" * 16
CONTEXT = Context((1, 2, "t", "E", (), 0, ""))


def rows_of(batch: tuple[Any, ...]) -> list[Any]:
    """The rows that the encoder must be given to make the value `batch` of the table."""
    _, _, count, contexts, index, msgids, times, msgs, specials = batch
    made = [Context(fields) for fields in contexts]
    if not index:
        index = bytes(count)
    elif len(index) == 2 * count:
        index = struct.unpack(f">{count}H", index)
    ids = (
        range(msgids, msgids + count)
        if isinstance(msgids, int)
        else struct.unpack(f">{count}q", msgids)
    )
    texts = msgs.split("\0") if isinstance(msgs, str) else msgs
    items = items_by_row(specials)
    return [
        (made[index[n]], ids[n], time, texts[n], items.get(n, ()))
        for n, time in enumerate(struct.unpack(f">{count}d", times))
    ]


def encode(value: tuple[Any, ...]) -> bytes:
    """The frame that the encoder makes for a value of the table."""
    if value[0] == "logd":
        return encode_opening(value[2], value[3], value[4])
    return encode_batch(value[1], rows_of(value))


@pytest.mark.parametrize(
    ("value", "frame"),
    [pytest.param(v, f, id=name) for name, v, f in wire_examples.WIRE_EXAMPLES],
)
def test_encoder_makes_the_bytes_of_the_table(value: tuple[Any, ...], frame: bytes) -> None:
    """Each opening and batch of the table is encoded to exactly its bytes."""
    assert pickle.loads(frame[4:]) == value
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert encode(value) == frame


@pytest.mark.parametrize(
    ("value", "length", "digest"),
    [pytest.param(*row[1:], id=row[0]) for row in wire_examples.LARGE_WIRE_EXAMPLES],
)
def test_encoder_makes_large_frames_of_the_table(
    value: tuple[Any, ...], length: int, digest: str
) -> None:
    """Long frames have the length and digest of the table and mean its value."""
    frame = encode(value)
    assert pickle.loads(frame[4:]) == value
    assert (len(frame), hashlib.sha256(frame).hexdigest()) == (length, digest)


@pytest.mark.parametrize(("number", "data"), [row[1:] for row in wire_examples.ANSWER_EXAMPLES])
def test_answers_of_the_table(number: int, data: bytes) -> None:
    """Answers decode to their number, whole and byte by byte, with keep-alives between."""
    assert encode_answer(number) == data
    assert AnswerDecoder().receive_data(data) == [number]
    decoder = AnswerDecoder()
    numbers = [n for byte in bytes(4) + data + data for n in decoder.receive_data(bytes([byte]))]
    assert numbers == [number, number]


def documented(number: int) -> dict[str, bytes]:
    """What "client" and "server" say in an example of the module's docstring."""
    text = session.__doc__ or ""
    example = text[text.index(f"\n{number}.  ") :]
    example = re.split(r"\n(?=[`\d])", example[1:])[0]
    spoken = {"client": b"", "server": b""}
    speaker = ""
    for line in example.splitlines():
        is_said = line.startswith(("    client", "    server")) or (speaker and line[:12].isspace())
        for word in line.partition("#")[0].split() if is_said else ():
            if word in spoken:
                speaker = word
            else:
                spoken[speaker] += (
                    word.strip('"').encode() if word[0] == '"' else bytes.fromhex(word)
                )
    return spoken


def test_the_documented_opening_is_what_is_sent() -> None:
    """The bytes of the first example are those that both encoders make."""
    assert documented(1) == {"client": encode_opening(CLIENT, 1), "server": encode_answer(0)}


def test_the_documented_batch_is_what_is_sent() -> None:
    """The bytes of the second example are those that both encoders make of two records."""
    context = Context((7, 9, "t", "E", (("a.py", 3),), 0, ""))
    rows = [(context, 1, 1.0, "hi", ()), (context, 2, 1.5, "yo", ("n", 5))]
    assert documented(2) == {"client": encode_batch(1, rows), "server": encode_answer(2)}


def test_the_documented_answers_of_the_third_example_are_what_is_sent() -> None:
    """Nothing known, one record stored, and a refusal; `tests/wire` checks the client's part."""
    stopping = encode_refusal(session.REFUSED_STOPPING)
    assert documented(3)["server"] == encode_answer(0) + encode_answer(1) + stopping


def row(msg: str, msgid: int = 1) -> Any:
    """A record that differs in text and id only."""
    return (CONTEXT, msgid, 1.0, msg, ())


def specials_of(items: list[tuple[Any, ...]]) -> Any:
    """How a batch of records with these items has them; what it means is checked."""
    rows = [(CONTEXT, n, 1.0, "m", given) for n, given in enumerate(items)]
    batch = pickle.loads(encode_batch(1, rows)[4:])
    meant = [record[4] for record in decode_batch(batch)]
    assert repr(meant) == repr([dict(zip(given[::2], given[1::2])) for given in items])
    return batch[8]


def test_records_of_a_logger_share_their_items() -> None:
    """Items that are the same object, or equal, stand in a batch once, with all their rows."""
    one, other = ("logger", "shop"), ("logger", "shop.pay")
    assert specials_of([one, other, (), one, one]) == (
        (b"\0\0\0\3\0\4", "logger", "shop"),
        (1, "logger", "shop.pay"),
    )
    equal = [("user", "ann", "n", int("300")) for _ in range(100)]
    ((rows, *items),) = specials_of(equal)
    assert (len(rows), items) == (200, ["user", "ann", "n", 300])


def test_items_that_only_look_equal_are_not_shared() -> None:
    """1, True and 1.0 are equal to Python and not the same in a log."""
    items = [("k", value) for value in (1, True, 1.0, -0.0, 0.0, 1, 1)]
    assert [element[0] for element in specials_of(items)] == list(range(7))


def test_items_of_their_own_are_not_grouped() -> None:
    """Where each record has other items, each stands beside its row."""
    items = [("order", n) for n in range(1000)]
    assert specials_of(items) == tuple([(n, *given) for n, given in enumerate(items)])


def test_many_rows_become_batches_of_limited_size() -> None:
    """Rows are cut at 8192 records and about 256 KiB, numbers go on without a gap."""
    entries = encode_batches(5, [row("m" * 10, n) for n in range(20000)])
    assert [e.records for e in entries] == [8192, 8192, 3616]
    entries = encode_batches(5, [row("m" * 100_000, n) for n in range(9)])
    assert max(e.size for e in entries) <= session.BATCH_BYTES + 1000
    entries += encode_batches(entries[-1].last + 1, [row("\U0001f600" * 200_000, 1)])
    first = 5
    for e in entries:
        assert e.first == first
        assert pickle.loads(e.frame[4:])[1:3] == (e.first, e.records)
        first += e.records
    assert first == 15


def test_wide_characters_count_in_bytes() -> None:
    """Rows whose characters fit a batch but whose bytes do not fit a frame are divided."""
    entries = encode_batches(1, [row("\U0001f600" * 130_000, n) for n in (1, 2)])
    assert [e.records for e in entries] == [1, 1] or entries[0].size <= session.MAX_FRAME_BYTES + 4
    entries = encode_batches(1, [row("\U0001f600" * 65_000, n) for n in (1, 2, 3, 4)])
    assert all(e.size <= session.MAX_FRAME_BYTES + 4 for e in entries)


def test_a_row_over_a_frame_is_an_error() -> None:
    """One record that no frame can hold is refused with its size."""
    with pytest.raises(ValueError, match=r"a record of 12000.. bytes, at most 1048576 allowed"):
        encode_batches(1, [row("m" * 1_200_000)])


def test_rich_records_make_smaller_batches() -> None:
    """A batch never has more objects than a server unpickles of one frame."""
    rows: list[Any] = [
        (CONTEXT, n, 1.0, "m", tuple(str(k) for k in range(200))) for n in range(1000)
    ]
    entries = encode_batches(1, rows)
    assert sum(e.records for e in entries) == 1000
    assert max(e.records for e in entries) * 201 <= session.MAX_BATCH_OBJECTS
    path = tuple((f"f{n}", n) for n in range(100))
    rows = [(Context((1, 2, "t", "E", path, 0, str(n))), n, 1.0, "m", ()) for n in range(5000)]
    assert max(e.records for e in encode_batches(1, rows)) * 106 <= session.MAX_BATCH_OBJECTS


@pytest.mark.parametrize("when", [float("nan"), float("inf"), -1.0, 1e12])
def test_impossible_times_are_an_error(when: float) -> None:
    """A time that no server can write is refused before it harms its batch."""
    rows = [(CONTEXT, 1, 1.0, "m", ()), (CONTEXT, 1, when, "m", ())]
    with pytest.raises(ValueError, match="1970 to 9999"):
        encode_batches(1, rows)


@pytest.mark.parametrize("client_id", [b"", b"c" * 15, b"c" * 17])
def test_client_ids_have_sixteen_bytes(client_id: bytes) -> None:
    """Another length of the client id is refused."""
    with pytest.raises(ValueError, match="expected 16"):
        encode_opening(client_id, 1)


def test_sequence_numbers_begin_with_one() -> None:
    """An opening from number 0 is refused."""
    with pytest.raises(ValueError, match="begin with 1"):
        encode_opening(CLIENT, 0)


@pytest.mark.parametrize(
    "lone",
    [
        row("m", 7),
        row("", -5),
        row("one\0two", 1),
        row("\ud800", 2**62),
        row("ä" * 200, 2**31 - 1),
        row("m" * 70_000, 1),
        (CONTEXT, 3, 1.5, "m", ("logger", "shop")),
        (CONTEXT, 3, 1.5, "m", ("logger", "s" * 300, "n", -1, "m", 2**31 - 1, "l", 2**31)),
        (CONTEXT, 3, 1.5, "m", ("logger", "shop", "n", 1, "none", None, "f", 0.5, "b", True)),
        (CONTEXT, 3, 1.5, "m", ("k", "\ud800")),
        (CONTEXT, 3, 1.5, "m", tuple(["k", 1] * 2000)),
        (Context((1, 2, "t", "E", (("a.py", 1), ("a.py", 2)), 0, "t")), 1, 1.0, "t", ("t", "E")),
    ],
)
@pytest.mark.parametrize("first", [9, 2**31])
def test_a_lone_record_is_a_batch_of_one(first: int, lone: Any) -> None:
    """The shorter way to encode one record makes a frame that says the same."""
    quick, (usual,) = encode_lone(first, lone), encode_batches(first, [lone])
    assert (quick.first, quick.records, quick.size) == (first, 1, len(quick.frame))
    (length,) = struct.unpack(">I", quick.frame[:4])
    assert length == quick.size - 4
    assert pickle.loads(quick.frame[4:]) == pickle.loads(usual.frame[4:])
    assert sum(1 for _ in pickletools.genops(quick.frame[4:])) > 0


@pytest.mark.parametrize("when", [-1.0, float("nan"), float("inf"), 1e30])
def test_a_lone_record_with_an_impossible_time_is_refused(when: float) -> None:
    """As in a batch."""
    with pytest.raises(ValueError, match="a time outside the years"):
        encode_lone(1, (CONTEXT, 1, when, "m", ()))


def test_a_lone_record_over_the_size_of_a_frame_is_refused() -> None:
    """As in a batch."""
    with pytest.raises(ValueError, match="at most 1048576 allowed"):
        encode_lone(1, row("m" * 1_200_000))

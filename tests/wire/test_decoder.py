from __future__ import annotations

import json
import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.records.context import Context
from logd.wire import Decoder, Frames, FrameSplitter, WireError, decode_delivery, read_opening
from logd.wire.limits import MAX_ROWS

ROW = (1, 2, 3, "t", 1.5, "m", "E", (("a.py", 7), (None, None)), 5, "f", {"user": "ann", "n": 3})
CONTEXT = Context(2, 3, "t", "E", (("a.py", 7), (None, None)), 5, "f")

ENCODINGS = {
    **{f"pickle {n}": (lambda value, n=n: pickle.dumps(value, n)) for n in range(6)},
    "JSON": lambda value: json.dumps(value).encode(),
    "MessagePack": msgspec.msgpack.encode,
}


def one(payload: bytes) -> tuple[Context, int, float, str, dict[str, object]]:
    """The only record of a frame."""
    (batch,) = decode_delivery(Frames.of(payload))
    assert len(batch) == 1
    return (
        batch.contexts[0],
        batch.msgid[0],
        batch.time[0],
        batch.msg[0],
        dict(batch.special.get(0, {})),
    )


def with_fields(**fields: object) -> tuple[object, ...]:
    """The record above with other fields."""
    names = [
        *("msgid", "pid", "tid", "threadname", "ts", "msg", "cat"),
        *("path", "tblen", "cfunc", "special"),
    ]
    return tuple(fields.get(name, value) for name, value in zip(names, ROW, strict=True))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_records_of_eleven_items(encoding: str) -> None:
    """The 11 items of the reference's clients are the same record in every encoding."""
    assert one(ENCODINGS[encoding](ROW)) == (CONTEXT, 1, 1.5, "m", {"user": "ann", "n": 3})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_unknown_fields_may_be_none(encoding: str) -> None:
    """None stands for "unknown" wherever the documented senders send it."""
    empty = with_fields(threadname=None, cfunc=None, path=None, special=None, cat=None, tblen=None)
    context, *_, special = one(ENCODINGS[encoding](empty))
    assert context == Context(2, 3, "", "", (), 0, "")
    assert special == {}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pings_mean_nothing(encoding: str) -> None:
    """A ping between records leaves no trace; alone it gives no batch."""
    ping, row = ENCODINGS[encoding]("ping"), ENCODINGS[encoding](ROW)
    (batch,) = decode_delivery(Frames.of(ping, row, ping, row))
    assert len(batch) == 2
    assert decode_delivery(Frames.of(ping)) == []


def test_pings_of_python_2() -> None:
    """The same text as Python 2 pickles it."""
    for ping in (b"S'ping'\np1\n.", b"U\x04pingq\x01.", b"\x80\x02U\x04pingq\x01.", b"Vping\n."):
        assert decode_delivery(Frames.of(ping)) == []


def test_many_frames_are_one_batch() -> None:
    """Frames of all kinds on one connection are one batch, in order, with each context once."""
    kinds = [encode(with_fields(msgid=n)) for n, encode in enumerate(ENCODINGS.values())]
    handler = pickle.dumps({"msg": "m", "created": 1.0, "msgid": 99}, 1)
    (batch,) = Decoder().decode(Frames.of(*kinds, handler, *kinds), peer="10.0.0.1")
    assert list(batch.msgid) == [*range(8), 99, *range(8)]
    assert len(batch.contexts) == 2
    assert list(batch.index) == [*[0] * 8, 1, *[0] * 8]
    assert (batch.peer, batch.client, batch.first, batch.last) == ("10.0.0.1", None, 0, 0)


def test_batches_have_a_bounded_number_of_records() -> None:
    """A delivery of very many small frames becomes more than one batch."""
    payload = pickle.dumps(with_fields(special={}), 4)
    frames = Frames(payload, [0] * (MAX_ROWS + 1), [len(payload)] * (MAX_ROWS + 1))
    assert [len(batch) for batch in Decoder().decode(frames)] == [MAX_ROWS, 1]


def test_frames_before_a_bad_one_are_kept() -> None:
    """The error has the number of the bad frame, and the records before it."""
    good = pickle.dumps(ROW, 2)
    with pytest.raises(WireError, match="record of 3 items, 11 expected") as caught:
        Decoder().decode(Frames.of(good, good, pickle.dumps((1, 2, 3), 2), good))
    assert caught.value.frame == 2
    assert [len(batch) for batch in caught.value.batches] == [2]


def test_text_of_python_2() -> None:
    """Byte strings of Python 2 are UTF-8; what is not is escaped visibly."""
    code = b"(I1\nI2\nI3\nS't'\nF1.5\nS'caf\\xc3\\xa9 \\xff\\n'\nS\"E\"\n(tI5\nS'f'\n(dt."
    context, msgid, time, msg, special = one(code)
    assert (context, msgid, time) == (Context(2, 3, "t", "E", (), 5, "f"), 1, 1.5)
    assert (msg, special) == ("café \\xff\n", {})


def test_lone_surrogates_of_json_become_visible_escapes() -> None:
    """Python's json writes lone surrogates; pairs stay characters, and backslashes themselves."""
    text = "a\udc80b 😀 \\ud83d \ud83d"
    assert one(json.dumps(with_fields(msg=text)).encode())[3] == "a\\udc80b 😀 \\ud83d \\ud83d"


def test_json_may_be_indented() -> None:
    """White space before and between the items does not matter."""
    assert one(b" \n" + json.dumps(ROW, indent=2).encode())[0] == CONTEXT


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * 40_000, "x" * 32_768 + "[... 7232 more]"),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (True, True),
        (None, None),
        (b"caf\xc3\xa9", "café"),
        ([1, {"a": (2, None)}], '[1, {"a": [2, null]}]'),
    ],
)
def test_special_values(value: object, kept: object) -> None:
    """Values become text, integers of 64 bit, finite floats, bools or None."""
    got = one(pickle.dumps(with_fields(special={"k": value}), 4))[4]["k"]
    assert (got, type(got)) == (kept, type(kept))


def test_special_items_are_bounded_in_number_and_keys_in_length() -> None:
    """Beyond 256 items a word about the rest stands in their place; long keys are cut."""
    special = {f"k{n}": n for n in range(300)}
    got = one(pickle.dumps(with_fields(special=special), 4))[4]
    assert len(got) == 257
    assert got["..."] == "[... 44 more]"
    got = one(pickle.dumps(with_fields(special={"k" * 200: 1}), 4))[4]
    assert got == {"k" * 128 + "[... 72 more]": 1}


def test_names_and_paths_are_cut_visibly() -> None:
    """Names, file names and whole paths have a length; what is missing is said."""
    context = one(pickle.dumps(with_fields(threadname="t" * 300, cfunc="f" * 256), 4))[0]
    assert context.threadname == "t" * 256 + "[... 44 more]"
    assert context.cfunc == "f" * 256
    path = [("x" * 1100, 1)] * 20
    context = one(pickle.dumps(with_fields(path=path), 4))[0]
    assert context.path[0][0] == "x" * 1024 + "[... 76 more]"
    assert context.path[-1] == (f"[... {20 - len(context.path) + 1} more]", None)


@pytest.mark.parametrize("ts", [0, 0.0, 1, 253402300799, 253402300799.999])
def test_times_within_the_calendar(ts: float) -> None:
    """Times from 1970 to the end of 9999 are taken; integers too."""
    assert one(pickle.dumps(with_fields(ts=ts), 4))[2] == float(ts)


@pytest.mark.parametrize("ts", [-0.001, 253402300800, float("nan"), float("inf")])
@pytest.mark.parametrize("encoding", ["pickle 2", "MessagePack"])
def test_times_outside_the_calendar(ts: float, encoding: str) -> None:
    """No calendar of the standard library knows these."""
    with pytest.raises(WireError, match="time: "):
        one(ENCODINGS[encoding](with_fields(ts=ts)))


def test_messages_that_are_no_text() -> None:
    """Numbers, None and bytes have a text; containers have none."""
    for msg, text in ((7, "7"), (1.5, "1.5"), (None, "None"), (True, "True"), (b"\xff", "\\xff")):
        assert one(pickle.dumps(with_fields(msg=msg), 4))[3] == text


names = st.text(st.characters(exclude_categories=()), max_size=30)
integers = st.integers(-(2**63), 2**63 - 1)
rows = st.tuples(
    integers,
    integers,
    integers,
    names,
    st.floats(0, 253402300799),
    st.text(st.characters(exclude_categories=()), max_size=600),
    names,
    st.lists(st.tuples(names | st.none(), integers | st.none()), max_size=4).map(tuple),
    integers,
    names,
    st.dictionaries(names, names | integers | st.booleans() | st.none(), max_size=4),
)


@given(rows, st.integers(0, 5))
def test_any_record_comes_back(row: tuple[object, ...], protocol: int) -> None:
    """What is pickled by any protocol is what is decoded."""
    msgid, pid, tid, threadname, ts, msg, cat, path, tblen, cfunc, special = row
    got = one(pickle.dumps(row, protocol))
    assert got == (
        Context(pid, tid, threadname, cat, path, tblen, cfunc),
        msgid,
        ts,
        msg,
        special,
    )


pickled = st.builds(
    pickle.dumps, rows | st.dictionaries(names, names), st.integers(0, 5)
) | st.just(pickle.dumps(ROW, 1))


def check_shape(batch: Batch) -> None:
    """Everything that a batch promises of its columns."""
    count = len(batch)
    assert count >= 1
    assert count == len(batch.index) == len(batch.msgid) == len(batch.time) == len(batch.msg)
    assert set(batch.index) == set(range(len(batch.contexts)))
    for context in batch.contexts:
        assert list(map(type, context)) == [int, int, str, str, tuple, int, str]
    assert all(0 <= time < 253402300800 and type(time) is float for time in batch.time)
    assert all(type(msg) is str for msg in batch.msg)
    assert all(-(2**63) <= msgid < 2**63 for msgid in batch.msgid)
    for row, special in batch.special.items():
        assert 0 <= row < count
        for key, value in special.items():
            assert type(key) is str
            assert type(value) in (str, int, float, bool, type(None))


@given(st.binary(max_size=200) | pickled, st.booleans(), st.data())
def test_any_bytes_are_records_or_the_documented_error(
    payload: bytes, in_session: bool, data: st.DataObject
) -> None:
    """Whatever bytes come, also pickles with bytes changed: checked records or `WireError`."""
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(payload)))
        byte = data.draw(st.binary(max_size=2))
        payload = payload[:at] + byte + payload[at + 1 :]
    read_opening(payload)
    try:
        batches = Decoder().decode(Frames.of(payload), client=b"c" * 16 if in_session else None)
    except WireError as exc:
        error = exc
        batches = list(exc.batches)
    else:
        error = WireError("")
    assert len(error.reason) < 400
    assert error.reason.isprintable()
    for batch in batches:
        check_shape(batch)


@given(st.lists(rows, min_size=1, max_size=5), st.data())
def test_any_split_of_the_stream_gives_the_same_records(
    sent: list[tuple[object, ...]], data: st.DataObject
) -> None:
    """However TCP cuts the bytes, the records are the same, in order."""
    payloads = [pickle.dumps(row, 2) for row in sent]
    stream = b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    splitter, decoder, got = FrameSplitter(), Decoder(), []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        frames = splitter.feed(stream[start:stop])
        for batch in decoder.decode(frames) if frames else ():
            got += zip(batch.msgid, batch.msg, strict=True)
    assert got == [(row[0], row[5]) for row in sent]

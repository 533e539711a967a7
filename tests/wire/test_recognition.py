"""Deliveries of `SocketHandler` frames recognised at once: the same records as one by one."""

from __future__ import annotations

import json
import logging
import pickle
import struct
from collections.abc import Iterable
from logging.handlers import SocketHandler

from hypothesis import example, given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.wire import Decoder, WireError
from logd.wire.frames import Frames
from logd.wire.recognition import MIN_FRAMES, recognise
from logd.wire.templates import Templates

HANDLER = SocketHandler("localhost", None)


def frame(
    text: str = "hello",
    *,
    created: float = 1.5e9,
    line: int = 7,
    error: str | None = None,
    **extra: object,
) -> bytes:
    """The payload that `SocketHandler` makes of a record, always of the same place and thread."""
    record = logging.LogRecord("shop", logging.INFO, "/app/views.py", line, text, None, None, "f")
    record.created = created
    record.exc_text = error
    for key, value in extra.items():
        setattr(record, key, value)
    return HANDLER.makePickle(record)[4:]


def learned(*payloads: bytes) -> Decoder:
    """A decoder that has seen the payloads often enough to know them."""
    decoder = Decoder()
    for _ in range(3):
        decoder.decode(Frames.of(*payloads))
    return decoder


def records(batches: Iterable[Batch]) -> list[tuple[object, ...]]:
    """All records, each with all that belongs to it."""
    return [
        (batch.contexts[place], msgid, time, msg, dict(batch.special.get(row, {})))
        for batch in batches
        for row, (place, msgid, time, msg) in enumerate(
            zip(batch.index, batch.msgid, batch.time, batch.msg, strict=True)
        )
    ]


def decoded(decoder: Decoder, payloads: Iterable[bytes]) -> tuple[object, ...]:
    """Records, number of the bad frame, its reason."""
    try:
        return records(decoder.decode(Frames.of(*payloads))), None, ""
    except WireError as exc:
        return records(exc.batches), exc.frame, exc.reason


def decoded_singly(payloads: Iterable[bytes]) -> tuple[object, ...]:
    """The same by a decoder that has learned nothing."""
    got: list[tuple[object, ...]] = []
    for number, payload in enumerate(payloads):
        try:
            got += records(Decoder().decode(Frames.of(payload)))
        except WireError as exc:
            return got, number, exc.reason
    return got, None, ""


texts = st.text(max_size=20) | st.sampled_from(
    ["", "X\x07\0\0\0createdq\1G12345678", "X\3\0\0\0msgq", "createdq", "\ud800", "u."]
)
known_frames = st.builds(
    frame, texts, created=st.floats(0, 2e9), line=st.integers(1, 3), error=st.none() | st.just("E")
)
odd_frames = st.one_of(
    st.builds(frame, texts, created=st.sampled_from([-1.0, float("nan"), 1e300])),
    st.builds(frame, texts, color=texts, n=st.integers()),
    st.builds(frame, texts, line=st.integers(1000, 2000)),
    st.builds(frame, texts, msgid=st.integers(0, 9)),
    st.just(pickle.dumps("ping")),
    st.just(b"}q\x00(X\x04\x00\x00\x00nameq\x01X"),
    st.just(
        b"}q\x00(X\x04\x00\x00\x00nameq\x01X\x04\x00\x00\x00shopq\x02X\x03\x00\x00\x00msgq\x03X"
    ),
    st.just(json.dumps([1, 2, 3, "t", 1.5, "msg", "E", [], 0, "f", {}]).encode()),
)


@given(
    st.lists(st.one_of(known_frames, known_frames, known_frames, odd_frames), max_size=20),
    st.data(),
)
@example([frame("é" * 9)] * 9, None)
def test_a_delivery_gives_the_records_of_its_frames(
    payloads: list[bytes], data: st.DataObject | None
) -> None:
    """Whatever stands between known frames, and with any byte changed: as if decoded singly."""
    decoder = learned(
        *(frame(line=line, error=error) for line in (1, 2, 3) for error in (None, "E"))
    )
    if data is not None and payloads and data.draw(st.booleans()):
        number = data.draw(st.integers(0, len(payloads) - 1))
        payload = payloads[number]
        at = data.draw(st.integers(0, len(payload)))
        payloads[number] = payload[:at] + data.draw(st.binary(max_size=2)) + payload[at + 1 :]
    assert repr(decoded(decoder, payloads)) == repr(decoded_singly(payloads))


def test_known_frames_are_recognised() -> None:
    """Frames of a place that logged before are known, those of new places and with extras not."""
    templates = Templates()
    for _ in range(2):
        templates.learn(frame(), 0, len(frame()))
    frames = [frame(str(number)) for number in range(MIN_FRAMES)]
    known = recognise(templates, Frames.of(*frames, frame(line=8), frame(color="red")))
    assert known is not None
    assert known.unknown == [MIN_FRAMES, MIN_FRAMES + 1]
    assert known.texts[:MIN_FRAMES] == list(map(str, range(MIN_FRAMES)))
    assert known.templates[0] is not None
    assert known.templates[0].context.cfunc == "f"


def test_the_places_of_twenty_processes_stay_known() -> None:
    """Four thousand different calls in turn are known from the third time on."""
    templates = Templates()
    frames = [frame(line=line, process=process) for process in range(20) for line in range(200)]
    for _ in range(2):
        for one in frames:
            templates.learn(one, 0, len(one))
    known = recognise(templates, Frames.of(*frames))
    assert known is not None
    assert known.unknown == []


def test_what_is_learned_is_bounded() -> None:
    """Frames with long parts of their own push out earlier ones before they fill the memory."""
    templates = Templates()
    most = 0
    for number in range(12_000):
        one = frame(pathname=f"/{number:0200}", module="m" * 250, filename="f" * 250)
        for _ in range(2):
            templates.learn(one, 0, len(one))
        most = max(most, len(templates.whole))
    assert 1_000 < most < 11_000
    assert templates.whole


def test_few_frames_are_left_to_be_matched_singly() -> None:
    """A delivery of few frames, or of mostly unknown ones, is not tried as a whole."""
    templates = Templates()
    for _ in range(2):
        templates.learn(frame(), 0, len(frame()))
    few = [frame()] * (MIN_FRAMES - 1)
    assert recognise(templates, Frames.of(*few)) is None
    assert recognise(templates, Frames.of(*few, *[frame(line=8)] * len(few), frame(line=8))) is None


def test_items_are_kept_apart_by_their_types() -> None:
    """Records whose items are equal but of different types keep their own."""
    decoder = learned(*[frame(level=1)] * 9, *[frame(level=True)] * 9)
    got = records(decoder.decode(Frames.of(*[frame(level=1)] * 9, *[frame(level=True)] * 9)))
    assert [type(record[-1]["level"]) for record in got] == [int] * 9 + [bool] * 9  # type: ignore[index]


def test_a_name_that_comes_twice_is_taken_as_the_last_one() -> None:
    """Frames with a second time or text are read as new ones, whatever was learned of others.

    Found by fuzzing: both times of the frame that was learned were the same.
    """
    usual = frame("text", created=1.5)
    at = usual.index(b"X\x07\x00\x00\x00process")
    again = b"X\x07\x00\x00\x00createdq\x30G" + struct.pack(">d", 1.5)
    again += b"X\x03\x00\x00\x00msgq\x31X\x04\x00\x00\x00textq\x32"
    twice = usual[:at] + again + usual[at:]
    decoder = learned(twice, twice)
    for old, new in ((struct.pack(">d", 1.5), struct.pack(">d", 2.5)), (b"text", b"none")):
        other = twice.replace(old, new, 1)
        assert other != twice
        expected = records(Decoder().decode(Frames.of(other)))
        assert records(decoder.decode(Frames.of(other))) == expected


def test_another_float_in_the_place_of_a_usual_one_is_an_item() -> None:
    """Its value is each frame's own; that of the frame learned first was given to all others.

    Found by fuzzing.
    """
    for usual, other in ((b"relativeCreated", b"measured_by_app"), (b"msecs", b"price")):
        payloads = [frame("text", created=1.5e9 + n).replace(usual, other) for n in range(9)]
        got = records(learned(*payloads).decode(Frames.of(*payloads)))
        assert got == decoded_singly(payloads)[0]
        item = other.decode()
        values = {record[-1][item] for record in got}  # type: ignore[index]
        assert len(values) == len({payload[payload.index(other) :][:30] for payload in payloads})


def test_a_frame_is_the_same_record_however_often_it_comes() -> None:
    """Numbers that only the slow machine takes don't turn into an error once a frame is learned.

    Found by fuzzing: `L070...L` in the constant part, and a memo index among the extras that keeps
    the whole frame from the C unpickler.
    """
    payload = (
        b"}q\x00(X\x04\x00\x00\x00nameq\x01X\x03\x00\x00\x00appq\x02X\x03\x00\x00\x00msgq\x03X\x01\x00\x00\x00mq\x04X\x04\x00\x00\x00argsq\x05NX"
        b"\x07\x00\x00\x00createdq\x12GA\xda\xc0\xbb\x80\xdb;hX\x05\x00\x00\x00msecsq\x13G@z\x90\x00\x00\x00\x00\x00X\x0f\x00\x00\x00relative"
        b"Createdq\x14G@\x88\xb3r\xbc\x00\x00\x00X\x06\x00\x00\x00threafq\x15L070137238834624L\nX-\x00\x00\x00vh"
        b"readNameq\x16X\n\x00\x00\x00MainThreadq\x17X\x0b\x00\x00\x00processNameq\x18X\x0b\x00\x00\x00MainPr"
        b"ocessq\x19X\x07\x00\x00\x00processq\x1aM\x828X\x04\x00\x00\x00use}rq}}\x1bX\x03\x00\x00\x00annq\x1cX\x01\x00\x00\x00nq\x1d"
        b"K\x03u."
    )
    decoder = Decoder()
    first = records(decoder.decode(Frames.of(payload)))
    for _ in range(3):
        assert records(decoder.decode(Frames.of(payload))) == first

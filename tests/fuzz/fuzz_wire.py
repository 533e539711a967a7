"""What the fuzzer does with one input: decode it every way there is, and compare the ways.

The first byte of an input chooses; the rest is a payload, or a stream of frames. Anything but
records of the promised shape or a documented error is a finding, and so is a difference between
two decoders that must agree: C unpickler and own machine, a decoder that has learned and a new one,
a stream whole and cut.
"""

from __future__ import annotations

from logd.records.batch import Batch
from logd.wire import Decoder, FrameError, Frames, FrameSplitter, WireError, read_opening
from logd.wire.limits import MAX_BATCH_OPCODES, MAX_TIME
from logd.wire.pickles import grammar, machine, unpickler
from tests.wire.plain import is_same

MODES = ("plain", "session", "stream", "grammar", "learned")
CLIENT = b"c" * 16

_learned = Decoder()


def one_input(data: bytes) -> None:
    """Decode one input; raises on any finding."""
    mode = MODES[data[0] % len(MODES)] if data else "plain"
    payload = data[1:]
    if mode == "stream":
        _check_stream(payload)
    elif mode == "grammar":
        _check_grammar(payload)
    elif mode == "learned":
        _check_learned(payload)
    else:
        if mode == "plain":
            read_opening(payload)
        for batch in _decode(Decoder(), payload, CLIENT if mode == "session" else None):
            check_shape(batch)


def check_shape(batch: Batch) -> None:
    """Everything that a batch promises of its columns."""
    count = len(batch)
    columns = (batch.index, batch.msgid, batch.time, batch.msg)
    _expect({count} == {len(column) for column in columns}, "columns of different lengths")
    _expect(count >= 1, "an empty batch")
    _expect(set(batch.index) == set(range(len(batch.contexts))), "contexts that are not in use")
    for context in batch.contexts:
        types = [int, int, str, str, tuple, int, str]
        _expect(list(map(type, context)) == types, "a context of wrong types")
        for name, line in context.path:
            _expect(name is None or type(name) is str, "a file name of a wrong type")
            _expect(line is None or type(line) is int, "a line number of a wrong type")
    for time in batch.time:
        _expect(type(time) is float and 0.0 <= time < MAX_TIME, "a wrong time")
    for msg in batch.msg:
        _expect(type(msg) is str, "a message that is no text")
    for row, special in batch.special.items():
        _expect(0 <= row < count, "special items of no record")
        for key, value in special.items():
            _expect(type(key) is str, "a key that is no text")
            _expect(type(value) in (str, int, float, bool, type(None)), "a value of a wrong type")


def _expect(is_true: bool, finding: str) -> None:
    if not is_true:
        raise AssertionError(finding)


def _decode(decoder: Decoder, payload: bytes, client: bytes | None) -> list[Batch]:
    try:
        return decoder.decode(Frames.of(payload), client=client)
    except WireError as exc:
        _expect(len(exc.reason) < 400 and exc.reason.isprintable(), "a reason of many lines")
        return []


def _check_stream(stream: bytes) -> None:
    """The stream whole and byte by byte gives the same frames and the same end."""
    whole = _frames([stream])
    single = _frames([stream[at : at + 1] for at in range(len(stream))])
    _expect(whole == single, "another end when the stream is cut")
    for payload in whole[0]:
        for batch in _decode(Decoder(), payload, None):
            check_shape(batch)


def _frames(pieces: list[bytes]) -> tuple[list[bytes], str]:
    splitter = FrameSplitter(65_536)
    payloads: list[bytes] = []
    for piece in pieces:
        try:
            frames = splitter.feed(piece)
        except FrameError as exc:
            frames = exc.frames
            payloads += [frames.payload(n) for n in range(frames.count)] if frames else []
            return payloads, exc.reason
        payloads += [frames.payload(n) for n in range(frames.count)] if frames else []
    return payloads, f"{splitter.partial_bytes} bytes kept"


def _check_grammar(payload: bytes) -> None:
    """What is proven harmless means to the C unpickler what it means to the machine."""
    try:
        tree = grammar.proven_tree(payload, max_opcodes=MAX_BATCH_OPCODES, dicts=1)
    except WireError:
        return
    for proven in (tree, grammar.proven_flat(payload)):
        if proven is None:
            continue
        try:
            slow = machine.run(payload)
            fast = unpickler.run(proven)
        except (WireError, UnicodeDecodeError):
            # The machine is stricter, and what it takes is bounded and can be printed.
            continue
        _expect(is_same(fast, slow), "one value in C, another in the machine")


def _check_learned(payload: bytes) -> None:
    """A decoder that has seen the frame before, and other frames, reads it as a new one."""
    new = _records(Decoder(), payload)
    for _ in range(3):
        _expect(_records(_learned, payload) == new, "another record once the frame was learned")


def _records(decoder: Decoder, payload: bytes) -> list[tuple[object, ...]]:
    return [
        (
            batch.contexts[batch.index[row]],
            batch.msgid[row],
            batch.time[row],
            batch.msg[row],
            repr(batch.special.get(row)),
        )
        for batch in _decode(decoder, payload, None)
        for row in range(len(batch))
    ]

"""All ways to decode a frame agree: the C unpickler, the machine, and what was learned."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest

from logd.wire import Decoder, Frames, WireError
from logd.wire.pickles import grammar
from tests.wire.hostile.making import NOW, text

FRAMES = 20_000
NAMES = ("msg", "created", "levelno", "user", "taskName", "thread", "name", "a", "b", "")


class Maker:
    """Pickles nearly as `SocketHandler` makes them: by chance a step is odd."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = 0

    def put(self) -> bytes:
        """Mostly the next number of the memo."""
        self.number += 1
        return self.random.choices(
            [
                b"q" + bytes([self.number % 256]),
                b"",
                b"\x94",
                b"q" + bytes([self.random.randrange(12)]),
                b"r" + struct.pack("<I", self.random.choice([3, 300, 65_535, 65_536])),
            ],
            [30, 3, 3, 1, 1],
        )[0]

    def get(self) -> bytes:
        """Something of the memo."""
        number = self.random.randrange(self.number + 2)
        return self.random.choice([b"h" + bytes([number % 256]), b"j" + struct.pack("<I", number)])

    def key(self) -> bytes:
        """Mostly a name."""
        name = self.random.choice(NAMES)
        return self.random.choices(
            [text(name), b"U" + bytes([len(name)]) + name.encode(), self.get(), b"K\x01", b"N"],
            [40, 2, 2, 1, 1],
        )[0]

    def value(self) -> bytes:
        """A literal, mostly."""
        return self.random.choices(
            [
                text(self.random.choice(["", "m", "x" * 300, "\u20ac"])),
                text(b"\xff\xfe"),
                b"\x8c\x01z",
                b"U\x02\xc3\xa9",
                b"U\x01\xff",
                self.random.choice([b"N", b"\x88", b"\x89", b"K\x07", b"M\x01\x02", b"I01\n"]),
                self.random.choice([b"J\xff\xff\xff\xff", b"L5L\n", b"\x8a\x01\x80", b"I5L\n"]),
                b"G" + struct.pack(">d", self.random.choice([1.5, float("nan"), -1.0])),
                self.get(),
                self.random.choice([b")", b"]", b"}", b"(NNt", b"N\x85", b"cos\nsystem\n"]),
            ],
            [30, 2, 6, 2, 1, 10, 4, 4, 8, 3],
        )[0]

    def items(self, count: int) -> bytes:
        """Keys with values."""
        parts = [
            self.key() + self.put() + self.value() + self.put()
            for _ in range(self.random.randrange(count))
        ]
        return b"".join(parts)

    def odd(self, frame: bytes) -> bytes:
        """The frame, by chance with a byte more, less or changed."""
        if self.random.random() < 0.85:
            return frame
        at = self.random.randrange(len(frame))
        more = self.random.choice([b"", b"N", b"(", b"h\x02", b"\x94", b"2", b"0", b"."])
        return frame[:at] + more + frame[at + self.random.randrange(2) :]

    def flat(self) -> bytes:
        """A dict of literals."""
        self.number = 0
        head = self.random.choice([b"}q\x00(", b"}q\x01(", b"\x80\x02}q\x00(", b"\x80\x04}\x94("])
        record = text("msg") + self.put() + text("m") + self.put() + text("created") + self.put()
        frame = head + record + b"G" + NOW + self.put() + self.items(6) + b"u."
        return self.odd(self.random.choice([b"", b"", b"", b"N", b"("]) + frame)

    def row(self) -> bytes:
        """An 11-tuple."""
        self.number = 0
        parts = [b"K\x01", b"K\x02", b"K\x03", text("t") + self.put(), b"G" + NOW]
        parts += [self.value() + self.put(), text("E"), b"(" + text("a.py") + b"K\x07\x86t"]
        parts += [b"K\x05", text("f"), b"}(" + self.items(4) + b"u"]
        return self.odd(self.random.choice([b"", b"N"]) + b"(" + b"".join(parts) + b"t.")

    def learned(self, number: int) -> bytes:
        """A whole record of `SocketHandler` of one of a few places, with items of its own."""
        self.number = 0
        place = self.random.choice([("/srv/a.py", "a.py"), ("b.py", None)])
        parts = [
            text("name"),
            text("shop"),
            text("msg"),
            text(f"m{number}"),
            text("levelno"),
            b"K(",
        ]
        parts += [text("pathname"), text(place[0]), text("filename")]
        parts += [b"h\x07" if place[1] is None else text(place[1])]
        frame = b"}q\x00("
        for part in parts:
            frame += part
            if part[:1] == b"X":
                frame += self.put() if self.random.random() < 0.02 else self._next()
        for name in ("created", "msecs", "relativeCreated"):
            frame += text(name) + self._next() + b"G" + NOW
        frame += text("process") + self._next() + b"M\x01\x02"
        return self.odd(frame + self.items(4) + b"u.")

    def _next(self) -> bytes:
        self.number += 1
        return b"q" + bytes([self.number])


def records(decoder: Decoder, payload: bytes) -> object:
    """What the frame is decoded to; None if it is refused."""
    try:
        batches = decoder.decode(Frames.of(payload), now=7.0)
    except WireError:
        return None
    return [
        (
            [batch.contexts[place] for place in batch.index],
            list(batch.msgid),
            list(batch.time),
            list(batch.msg),
            repr(dict(batch.special)),
        )
        for batch in batches
    ]


def nothing_proven(*_: object, **__: object) -> None:
    """In the place of the grammar: all goes to the machine."""


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], object]:
    """Decodes with the machine only."""

    def decode(payload: bytes) -> object:
        with monkeypatch.context() as patched:
            patched.setattr(grammar, "proven_flat", nothing_proven)
            patched.setattr(grammar, "proven_tree", nothing_proven)
            return records(Decoder(), payload)

    return decode


def test_the_fast_paths_and_the_slow_one_agree(slowly: Callable[[bytes], object]) -> None:
    """20,000 frames mean the same to the machine, to the C unpickler and to who has learned."""
    maker = Maker(7)
    kept = Decoder()
    taken = learned = 0
    for number in range(FRAMES):
        payload = (maker.flat, maker.row, maker.learned, maker.learned)[number % 4](
            *([number] if number % 4 > 1 else [])
        )
        slow = slowly(payload)
        assert records(Decoder(), payload) == slow, payload
        assert records(kept, payload) == slow, payload
        taken += slow is not None
        learned += kept._templates.match(payload, 0, len(payload)) is not None
    assert taken > FRAMES // 2
    assert learned > FRAMES // 8

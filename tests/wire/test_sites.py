"""Logging calls and threads are known each for itself, and put together as they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.wire import Decoder
from logd.wire import templates as templates_module
from logd.wire.frames import Frames
from logd.wire.sites import Generations, thread_of
from logd.wire.templates import Templates
from tests.wire.test_recognition import decoded, decoded_singly, frame

IDS = [1, 255, 65_536, 2**31, 2**40, 2**62]


def passed(line: int, process: int, thread: int, **extra: object) -> bytes:
    """The frame of a call that a thread of a process passed."""
    return frame(line=line, process=process, thread=thread, threadName=f"Thread-{thread}", **extra)


def test_a_call_is_known_from_threads_that_never_passed_it() -> None:
    """What is learned of one call by one thread and of another by another gives all four frames."""
    templates = Templates()
    for one in [passed(1, 10, 100), passed(2, 20, 200)] * 3:
        templates.learn(one, 0, len(one))
    for one in (passed(1, 20, 200), passed(2, 10, 100)):
        found = templates.match(one, 0, len(one))
        assert found is not None
        assert repr(decoded(Decoder(), [one])[0]) == repr(
            [(found[0].context, found[0].msgid, found[1], found[2], dict(found[3]))]
        )


def test_no_number_of_combinations_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there is no room for more of them they are put together again, and never decoded."""
    monkeypatch.setattr(templates_module, "_MAX_TEMPLATES", 50)
    monkeypatch.setattr(templates_module, "_FORGET_AFTER", 200)
    templates = Templates()
    learned = [passed(line, 1000 + line, line) for line in range(1, 31)]
    for one in learned * 3:
        templates.learn(one, 0, len(one))
    for line in range(1, 31):
        for thread in range(1, 31):
            one = passed(line, 1000 + thread, thread)
            assert templates.match(one, 0, len(one)) is not None
            assert len(templates.whole) <= 50


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(IDS), st.sampled_from(IDS)), min_size=1),
    st.sampled_from([{}, {"color": "red"}, {"threadName": "f"}, {"funcName": "MainProcess"}]),
)
def test_what_is_put_together_means_the_same(
    passes: list[tuple[int, int, int]], extra: dict[str, object]
) -> None:
    """Whatever calls and threads come in whatever order: as if each frame was decoded alone."""
    decoder = Decoder()
    payloads = [
        frame(**{"line": one[0], "process": one[1], "thread": one[2], **extra}) for one in passes
    ]
    for payload in payloads * 3:
        assert repr(decoded(decoder, [payload])) == repr(decoded_singly([payload]))
    together = payloads * 10
    assert repr(decoded(decoder, together)) == repr(decoded_singly(together))


def test_a_threads_part_stands_by_itself() -> None:
    """One that has other attributes, or names a text of the call, is not taken apart."""
    one = passed(1, 10, 100)
    tail = one[one.rindex(b"X\x06\0\0\0thread") : -2]
    thread = thread_of(tail)
    assert thread is not None
    assert (thread.pid, thread.tid, thread.threadname) == (10, 100, "Thread-100")
    assert thread_of(tail + b"X\x03\0\0\0msgq\xf0X\x01\0\0\0?q\xf1") is None
    name = frame.__name__
    shared = frame(funcName=name, threadName=name)
    assert thread_of(shared[shared.rindex(b"X\x06\0\0\0thread") : -2]) is None


def test_what_is_not_asked_for_is_forgotten_in_the_end() -> None:
    """What is in use stays through any number of others; what is not makes room."""
    known: Generations[int, int] = Generations(100)
    known.put(-1, -1, 10)
    known.put(-2, -2, 10)
    for number in range(1000):
        known.put(number, number, 10)
        assert known.get(-1, 10) == -1
    assert known.get(-2, 10) is None
    assert known.get(998, 10) == 998


def test_frames_of_a_delivery_are_put_together_too() -> None:
    """A whole delivery of calls and threads that are known is recognised at once."""
    decoder = Decoder()
    payloads = [passed(line, 10 * line, line) for line in range(1, 11)]
    for _ in range(3):
        decoder.decode(Frames.of(*payloads))
    crossed = [passed(line, 10 * (11 - line), 11 - line) for line in range(1, 11)]
    assert repr(decoded(decoder, crossed)) == repr(decoded_singly(crossed))

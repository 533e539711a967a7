"""What is known of logging calls and of threads, each for itself.

The constant parts of a frame of `SocketHandler` belong either to the call that was passed (name,
level, file, line, function) or to the thread that passed it (thread, process, their names). Twenty
workers of eight threads with 500 calls make 80,000 frames that differ, of 500 calls and 160
threads. So both are kept apart, and put together when a frame has them: what is kept, and what it
takes to learn it, grows with their sum.

That is sound only if no part depends on the other: the thread's has the attributes of a thread and
nothing else, names no text of the memo that it did not put there itself, and uses no number of the
memo that the call's part uses.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Generic, NamedTuple, TypeVar

from logd.records.callpath import Path
from logd.records.context import Context, Special
from logd.wire.errors import WireError
from logd.wire.limits import MAX_INTEGER, MAX_NAME_CHARS, MIN_INTEGER
from logd.wire.logrecords import LogRecordParts
from logd.wire.pickles import grammar
from logd.wire.pickles.constants import Constants, constants_of_site
from logd.wire.pickles.loading import load

SiteKey = tuple[bytes, bytes, bytes, bytes]
"""The parts of a frame around its text and before the thread's."""

MAX_KNOWN_BYTES: Final = 12 << 20
"""Parts that are known, in two generations of this many bytes each."""

# What the constructor of a named tuple does, without its call of a Python function.
_new_context = partial(tuple.__new__, Context)

_NEEDED: Final = {"thread", "threadName", "process"}
_ALLOWED: Final = _NEEDED | {"processName", "taskName"}


class Site(NamedTuple):
    """A logging call.

    Attributes:
        place: the fields of a context that are not a thread's.
        msgid, appendix, special: as in `LogRecordParts`.
        numbers: of the memo, that are in use.
    """

    place: tuple[str, Path, int, str]
    msgid: int
    appendix: str
    special: Special
    numbers: frozenset[int]

    def passed_by(self, thread: Thread) -> Context:
        """The context of its records."""
        return _new_context((thread.pid, thread.tid, thread.threadname, *self.place))


class Thread(NamedTuple):
    """A thread of a process."""

    pid: int
    tid: int
    threadname: str
    numbers: frozenset[int]


def site_numbers(key: SiteKey) -> frozenset[int] | None:
    """The numbers of the memo that a call's parts use; None if they need others than themselves."""
    head, middle, milliseconds, relative = key
    known = constants_of_site(head, middle, (milliseconds, relative))
    return None if known is None else known.numbers


def site_of(record: LogRecordParts, numbers: frozenset[int]) -> Site:
    """What a call's parts mean, shown by a record of it whose thread's part stands by itself.

    Then nothing of the thread is in the record's items.
    """
    context = record.context
    place = context.cat, context.path, context.tblen, context.cfunc
    return Site(place, record.msgid, record.appendix, record.special, numbers)


def thread_of(tail: bytes) -> Thread | None:
    """What a thread's part means by itself; None if it is more than that, or needs others."""
    known = Constants()
    if not known.read(tail):
        return None
    program = b"}q\0(" + tail + b"u."
    try:
        value = load(program, grammar.proven_flat(program))
    except WireError:
        return None
    if type(value) is not dict or not _NEEDED <= value.keys() <= _ALLOWED:
        return None
    pid, tid, name = value["process"], value["thread"], value["threadName"]
    if type(name) is not str or len(name) > MAX_NAME_CHARS:
        return None
    for number in (pid, tid):
        if type(number) is not int or not MIN_INTEGER <= number <= MAX_INTEGER:
            return None
    return Thread(pid, tid, name, known.numbers)


K = TypeVar("K")
V = TypeVar("V")


class Generations(Generic[K, V]):
    """A mapping that forgets what was not asked for in a long time, a part at a time.

    Args:
        max_bytes: of the keys in the young generation; then it becomes the old one, whose place
            it takes.
    """

    __slots__ = ("_bytes", "_max_bytes", "_old", "_young")

    def __init__(self, max_bytes: int) -> None:
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._bytes = 0
        self._max_bytes = max_bytes

    def get(self, key: K, size: int) -> V | None:
        """The value of a key whose parts have this many bytes; it stays known."""
        value = self._young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put(key, value, size)
        return value

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value."""
        if self._bytes >= self._max_bytes:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._young[key] = value
        self._bytes += size

r"""Tracebacks in messages: their exceptions, and what tells that two of them are the same.

Of the text that Python prints for an exception, in any version since 2.7, with chains and groups.
The fingerprint holds what stays the same when a program is deployed anew: the type of the last
exception and the functions of the program's own, without line numbers. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from logd.records.callpath import short_name

VERSION = "1"
"""Stands before each fingerprint: another way to make them gets another number."""

HEADING = "Traceback (most recent call last):"
"""The line that a traceback begins with, in groups behind other characters."""

MAX_FRAMES = 1000
"""More frames than Python's own recursion limit are not looked at."""

MAX_LEAVES = 100
"""Exceptions of a group that are looked at, whatever their depth."""

_GROUP_HEADING = "Exception Group "
_MARGIN = re.compile(r" +[+|][-+| ]*")
_FRAME = re.compile(r'  File "(?P<file>[^"]*)", line \d+(?:, in (?P<function>.*))?')
_EXCEPTION = re.compile(r"(?P<type>[A-Za-z_][\w.]*(?:\.<locals>\.\w+)*)(?::(?: (?P<text>.*))?)?$")
_FOREIGN = re.compile(r"(?:site|dist)-packages|[/\\]lib(?:64)?[/\\]python\d|^<frozen")
_RULE = re.compile(r" +\+[-+]+ (?:\d+|\.\.\.) -+")


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        file: as the traceback names it.
        function: the function's name; "" if the traceback has none.
    """

    file: str
    function: str

    @property
    def is_own(self) -> bool:
        """Whether it is of the program itself, not of Python or an installed package."""
        return _FOREIGN.search(self.file) is None

    def __str__(self) -> str:
        return f"{short_name(self.file)}:{self.function}"


@dataclass(frozen=True)
class Raised:
    """One exception.

    Attributes:
        type: its name, as "ValueError" or "shop.errors.Declined".
        text: the first line of what it says.
        frames: the calls, outermost first.
        leaves: the exceptions of a group.
    """

    type: str
    text: str
    frames: tuple[Call, ...]
    leaves: tuple[Raised, ...] = ()

    @property
    def own_frames(self) -> Sequence[Call]:
        """The frames of the program itself; all if there are none, recursion shown once."""
        frames = [frame for frame in self.frames if frame.is_own] or self.frames
        return [frame for frame, _ in groupby(frames)]

    def canonical(self) -> str:
        """What two exceptions have in common that are the same."""
        steps = "<-".join(map(str, reversed(self.own_frames)))
        leaves = ",".join(sorted({leaf.canonical() for leaf in self.leaves}))
        return f"{self.type}@{steps}" + (f"[{leaves}]" if leaves else "")


def has_traceback(msg: str) -> bool:
    """Whether a message has one."""
    return HEADING in msg


def exceptions(msg: str) -> list[Raised]:
    """The exceptions of a message, in the order of the text: the last one is what ended it all."""
    if HEADING not in msg:
        return []
    lines = msg.split("\n")
    found: list[Raised] = []
    place = 0
    while place < len(lines):
        if HEADING in lines[place]:
            raised, place = _exception(lines, place)
            if raised is not None:
                found.append(raised)
        else:
            place += 1
    return found


def exception_types(msg: str) -> list[str]:
    """The names of all exceptions in a message, those of groups included, without repetition."""
    return list(dict.fromkeys(name for raised in exceptions(msg) for name in _types(raised)))


def fingerprint(msg: str, site: str = "") -> str:
    """A short text that is the same for messages with the same cause.

    Args:
        msg: the message.
        site: where it was logged; tells messages without a traceback apart.
    """
    found = exceptions(msg)
    what = found[-1].canonical() if found else f"site {site}"
    return f"{VERSION}:{sha256(what.encode('utf-8', 'backslashreplace')).hexdigest()[:12]}"


def title(msg: str, site: str = "") -> str:
    """One line for people about the cause: exception, text and innermost own function."""
    found = exceptions(msg)
    if not found:
        first = msg.partition("\n")[0]
        return f"{site}: {first}" if site else first
    last = found[-1]
    place = f" ({last.own_frames[-1]})" if last.own_frames else ""
    return f"{last.type}{': ' if last.text else ''}{last.text}{place}"


def _types(raised: Raised) -> Iterator[str]:
    for leaf in raised.leaves:
        yield from _types(leaf)
    yield raised.type


def _exception(lines: list[str], place: int, *, is_leaf: bool = False) -> tuple[Raised | None, int]:
    """The exception whose heading is at `place`; and where the text goes on."""
    line = lines[place]
    margin = line.index(HEADING)
    is_group = line[:margin].endswith(_GROUP_HEADING)
    if is_group:
        margin -= len(_GROUP_HEADING)
    frames, place = _frames(lines, place + 1, margin)
    head = _EXCEPTION.match(_inside(lines, place, margin))
    if head is None:
        return None, place
    place += 1
    leaves: list[Raised] = []
    if is_group and not is_leaf:
        place = _leaves(lines, place, leaves)
    return Raised(head["type"], head["text"] or "", tuple(frames), tuple(leaves)), place


def _leaves(lines: list[str], place: int, leaves: list[Raised]) -> int:
    """Read the exceptions of a group, those of groups inside it beside them; return its end."""
    while place < len(lines) and (margin := _MARGIN.match(lines[place])) is not None:
        line = lines[place]
        raised, following = None, place + 1
        if HEADING in line:
            raised, following = _exception(lines, place, is_leaf=True)
        elif _RULE.match(lines[place - 1]) and (head := _EXCEPTION.match(line[margin.end() :])):
            # What was never raised has no traceback, only this line.
            raised = Raised(head["type"], head["text"] or "", ())
        if raised is not None and len(leaves) < MAX_LEAVES:
            leaves.append(raised)
        place = following
    return place


def _inside(lines: list[str], place: int, margin: int) -> str:
    return lines[place][margin:] if place < len(lines) else ""


def _frames(lines: list[str], place: int, margin: int) -> tuple[list[Call], int]:
    """The frames from `place` on, and where the exception's own line is."""
    frames: list[Call] = []
    while place < len(lines):
        inside = _inside(lines, place, margin)
        match = _FRAME.match(inside)
        if match is not None:
            if len(frames) < MAX_FRAMES and match["function"] is not None:
                frames.append(Call(match["file"], match["function"].strip()))
        elif not inside.startswith(" "):
            break
        place += 1
    return frames, place

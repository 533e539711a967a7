"""Names of the files of one log: by ring number or by date. Knows the folder's names, not files.

A pattern has one `%d` (or `%s`, `%03d`) in its last part. With naming "ring" it is the number of
the file: 0, 1, ... up to the ring's size and then 0 again. With naming "date" it is when the file
was begun, `20261122-111000`; there the pattern may spell a date itself (`app-%Y%m%d.log`). A
second file of the same date gets `.1` before its suffix, and so on.

A pattern without a place is a plain name: the current file always has it, and is renamed when it
is closed: to `app.log.1`, `app.log.2` and so on, or, by date, to `app-2026-11-22.log`. The new
name is a fresh one and stays. Shifting all closed files by one, as logrotate does, is a rename for
each file at each rotation; a crash between two of them leaves files that nobody can tell apart.
A compressed file has the name of the original with `.gz` or `.zst` behind it; one
that somebody compressed by hand may have `.xz` or `.bz2`.

Names tell which files are the log's, not which of them is older: that stands in `age.py`.
"""

from __future__ import annotations

import contextlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count as count_up
from pathlib import Path
from typing import Literal

from logd.outputs.base import OutputUnusable

COMPRESSED_SUFFIXES = (".gz", ".zst", ".xz", ".bz2")
"""Of the daemon's own formats, and of those that people compress by hand with."""

_PLACE = re.compile(r"%(0?\d{0,2})d|%s")
_DATE_CODES = {"%Y": r"(\d{4})", **dict.fromkeys(("%m", "%d", "%H", "%M", "%S"), r"(\d{2})")}
_DATE_CODE = re.compile("|".join(_DATE_CODES))
_WHOLE_DATE = "%Y%m%d-%H%M%S"

_MAX_NAME_BYTES = 200
"""File systems allow 255. What is made beside a file (`.app_7.log.zst.1234.trash`) has a longer
name, and numbers grow: better said at the start than at the first rotation."""

_MAX_DIGITS = 18

Key = tuple[int, ...]
"""Position of a file among those of its log; what it means is up to the kind of names."""


def plain_name(name: str) -> str:
    """The name of the original of a compressed file; other names as they are."""
    for suffix in COMPRESSED_SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


TORN = ".torn"
"""Behind the name of a file: what was taken out of it at a start after a crash."""


def torn_of(name: str) -> str | None:
    """The plain name of the file that a set-aside file was taken from; None for other files."""
    logged, torn, _ = name.rpartition(TORN)
    return logged if torn and logged else None


class Names(ABC):
    """How the files of one log are called.

    Attributes:
        kin: how they were called under other settings of the same pattern: those are the log's too.
        are_dated: whether the next name depends on the time.
        current_name: the name that the current file always has; "" if it is one of many.
    """

    kin: tuple[Names, ...] = ()
    are_dated = False
    current_name = ""

    @abstractmethod
    def key(self, name: str) -> Key | None:
        """The key of an uncompressed file's name; None if the name is of another kind."""

    @abstractmethod
    def first(self, now: float) -> str:
        """The name of the first file of a new log."""

    @abstractmethod
    def following(self, files: Sequence[str], now: float, taken: Sequence[str] = ()) -> str:
        """The name of the next file; if a file has it already, that file is to be overwritten.

        Args:
            files: the plain names of the log's files, oldest first; the last one is written to.
            now: seconds since the epoch.
            taken: names that something else has, and keeps.
        """

    @abstractmethod
    def examples(self, now: float) -> Sequence[str]:
        """Names of this kind, one of each length."""

    def matches(self, name: str) -> bool:
        """True for the names of this log, compressed or not, whatever the settings were then."""
        return self.kind_of(plain_name(name)) is not None

    def kind_of(self, name: str) -> Names | None:
        """Of this kind of names and its `kin`, the one that an uncompressed file's name is of."""
        return next((kind for kind in (self, *self.kin) if kind.key(name) is not None), None)


class FixedName(Names):
    """One file under one name, never rotated by us; `app.log.1` is someone else's."""

    def __init__(self, name: str, kin: Sequence[Names] = ()) -> None:
        self._name = name
        self.current_name = name
        self.kin = tuple(kin)

    def key(self, name: str) -> Key | None:
        """The only one."""
        return () if name == self._name else None

    def first(self, now: float) -> str:
        """The only one."""
        return self._name

    def following(self, files: Sequence[str], now: float, taken: Sequence[str] = ()) -> str:
        """The only one again: it is overwritten."""
        return self._name

    def examples(self, now: float) -> Sequence[str]:
        """The only one."""
        return [self._name]


class RingNames(Names):
    """Numbered names that return after `count` files; without a count they go on forever."""

    def __init__(self, before: str, width: str, after: str, count: int | None) -> None:
        self._form = f"{_percents(before)}%{width}d{_percents(after)}"
        self._regex = re.compile(f"{re.escape(before)}(\\d{{1,{_MAX_DIGITS}}}){re.escape(after)}")
        self._count = count

    def key(self, name: str) -> Key | None:
        """The number of a file."""
        match = self._regex.fullmatch(name)
        if match is None or self._form % int(match[1]) != name:
            return None
        return (int(match[1]),)

    def first(self, now: float) -> str:
        """Number 0."""
        return self._form % 0

    def following(self, files: Sequence[str], now: float, taken: Sequence[str] = ()) -> str:
        """The next free place of the ring; if there is none, that of the oldest file in it."""
        used = {*files, *taken}
        key = self.key(files[-1])
        start = 0 if key is None else key[0] + 1
        beyond = (name for n in count_up(start) if (name := self._form % n) not in used)
        if self._count is None:
            return next(beyond)
        places = [self._form % ((start + step) % self._count) for step in range(self._count)]
        free = next((name for name in places if name not in used), None)
        oldest = next((name for name in files if name in places and name not in taken), None)
        return free or oldest or next(beyond)

    def examples(self, now: float) -> Sequence[str]:
        """With few and with many digits."""
        return [self._form % 10**digits for digits in range(_MAX_DIGITS)] + [self._form % 0]


class PlainNames(FixedName):
    """One name for the current file; a closed one is renamed to a fresh number or to its date.

    Args:
        name: the name of the current file.
        closed: how closed files are called.
        kin: how else they may be called.
    """

    # After those of all closed files.
    _KEY = (1 << 62,)

    def __init__(self, name: str, closed: Names, kin: Sequence[Names]) -> None:
        super().__init__(name, (closed, *kin))
        self._closed = closed

    def key(self, name: str) -> Key | None:
        """The only one."""
        return self._KEY if name == self.current_name else None

    def closed_name(self, files: Sequence[str], started: float) -> str:
        """What to call the current file once it is closed: a name that no file has.

        Args:
            files: the plain names of the log's files, whatever their order.
            started: when its first record came.
        """
        if isinstance(self._closed, DateNames):
            return self._closed.following(files, started)
        numbers = [key[0] for name in files if (key := self._closed.key(name)) is not None]
        return f"{self.current_name}.{max(numbers, default=0) + 1}"


class DateNames(Names):
    """Names by when a file was begun; a later one always has the higher key."""

    are_dated = True

    def __init__(self, form: str, *, utc: bool) -> None:
        self._form = form
        self._to_struct = time.gmtime if utc else time.localtime
        stem, dot, suffix = form.rpartition(".")
        self._stem, self._suffix = (form, "") if not dot or "%" in suffix else (stem, dot + suffix)
        codes = _DATE_CODE.findall(form)
        self._order = [codes.index(code) for code in _DATE_CODES if code in codes]
        self._regex = re.compile(
            f"{_date_regex(self._stem)}(?:\\.(\\d{{1,9}}))?{_date_regex(self._suffix)}"
        )
        self._counter = len(_DATE_CODE.findall(self._stem))

    def key(self, name: str) -> Key | None:
        """Year, month, ... as far as the pattern has them, and the number among equals."""
        match = self._regex.fullmatch(name)
        if match is None:
            return None
        groups = list(match.groups())
        counter = int(groups.pop(self._counter) or 0)
        return (*(int(groups[place]) for place in self._order), counter)

    def first(self, now: float) -> str:
        """The name for now."""
        return self._name(now, 0)

    def following(self, files: Sequence[str], now: float, taken: Sequence[str] = ()) -> str:
        """The name for now; if a file is as late or later, the name right after the latest."""
        name = self._name(now, 0)
        dated = [(key, file) for file in (*files, *taken) if (key := self.key(file)) is not None]
        latest_key, latest = max(dated, default=((), ""))
        if (self.key(name) or ()) > latest_key:
            return name
        counter = latest_key[-1]
        stem = latest.removesuffix(self._suffix) if self._suffix else latest
        if counter:
            stem = stem.removesuffix(f".{counter}")
        return f"{stem}.{counter + 1}{self._suffix}"

    def examples(self, now: float) -> Sequence[str]:
        """That of now."""
        return [self._name(now, 0), self._name(now, 1)]

    def _name(self, now: float, counter: int) -> str:
        stamp = self._to_struct(now)

        def text(form: str) -> str:
            return _DATE_CODE.sub(lambda code: time.strftime(code[0], stamp), form)

        number = f".{counter}" if counter else ""
        return f"{text(self._stem)}{number}{text(self._suffix)}"


class MovedNames(Names):
    """What logrotate makes of a log's names: `app_0.log.1`, or `app_0.log-20261128`.

    For readers. The daemon leaves such files to logrotate, which removes them in their turn.

    Args:
        names: how the log's files are called.
    """

    _REGEX = re.compile(r"(.+?)(?:\.(\d{1,9})|-(\d{8,14}))")

    def __init__(self, names: Names) -> None:
        self._kinds = (names, *names.kin)

    def key(self, name: str) -> Key | None:
        """That of the file it was moved from, and its age: a higher number is older."""
        match = self._REGEX.fullmatch(name)
        if match is None:
            return None
        before = next(
            (key for kind in self._kinds if (key := kind.key(match[1])) is not None), None
        )
        age = -int(match[2]) if match[2] else int(match[3])
        return None if before is None else (*before, age)

    def first(self, now: float) -> str:
        """Never asked for."""
        raise AssertionError("files are not begun under names of logrotate")

    def following(self, files: Sequence[str], now: float, taken: Sequence[str] = ()) -> str:
        """Never asked for."""
        raise AssertionError("files are not begun under names of logrotate")

    def examples(self, now: float) -> Sequence[str]:
        """None of them is the log's."""
        return ()


def _percents(text: str) -> str:
    return text.replace("%", "%%")


def _date_regex(form: str) -> str:
    place, regex = 0, ""
    for code in _DATE_CODE.finditer(form):
        regex += re.escape(form[place : code.start()]) + _DATE_CODES[code[0]]
        place = code.end()
    return regex + re.escape(form[place:])


def parse_pattern(
    pattern: str,
    *,
    naming: Literal["ring", "date"],
    count: int | None,
    rotates: bool,
    utc: bool,
) -> tuple[Path, Names]:
    """Read a pattern: the folder, made absolute, and how the files in it are called.

    Args:
        pattern: path with the place for number or date in its last part.
        naming: by ring number or by date.
        count: size of the ring, None for numbers that never return.
        rotates: False if one file goes on forever, or someone else renames it.
        utc: dates by the clock of UTC, else by the local one.

    Raises:
        OutputUnusable: the pattern can't be used; the text says how it has to be.
    """
    path = Path(pattern)
    name = path.name
    if not name or "\0" in pattern or name in (".", "..") or pattern.endswith("/"):
        raise OutputUnusable(
            f"file {pattern}: expected the path of a file, such as logs/app_%d.log"
        )
    if len(name.encode("utf-8", "surrogateescape")) > _MAX_NAME_BYTES:
        raise OutputUnusable(
            f"file {pattern}: the name has more than {_MAX_NAME_BYTES} bytes, and those of the "
            "journal and of what goes are longer"
        )
    if "%" in str(path.parent):
        raise OutputUnusable(
            f"file {pattern}: the place for the number (%d) must be in the last part"
        )
    if "%" not in name:
        return path.parent.absolute(), _plain(name, naming, rotates, utc)
    names = _dated(name, utc) if naming == "date" else _numbered(pattern, name, count)
    with contextlib.suppress(OutputUnusable):
        # Most patterns can be used with either naming, and then the log may have files of both.
        other = _numbered(pattern, name, None) if naming == "date" else _dated(name, utc)
        names.kin = (other,)
    return path.parent.absolute(), names


def _plain(name: str, naming: Literal["ring", "date"], rotates: bool, utc: bool) -> Names:
    numbered = RingNames(f"{name}.", "", "", None)
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    dated = DateNames(f"{stem}-%Y-%m-%d{dot}{suffix}", utc=utc)
    # Before there were plain names, the current file of such a pattern had a date, too.
    older = DateNames(f"{stem}-{_WHOLE_DATE}{dot}{suffix}", utc=utc)
    if not rotates:
        return FixedName(name, (dated, older))
    closed, other = (dated, numbered) if naming == "date" else (numbered, dated)
    return PlainNames(name, closed, (other, older))


def _dated(name: str, utc: bool) -> Names:
    return DateNames(_date_form(name), utc=utc)


def _numbered(pattern: str, name: str, count: int | None) -> Names:
    places = list(_PLACE.finditer(name))
    if len(places) != 1 or name.count("%") != 1:
        raise OutputUnusable(
            f"file {pattern}: expected one %d for the number of the file, such as app_%d.log"
        )
    before, after = name[: places[0].start()], name[places[0].end() :]
    return RingNames(before, places[0][1] or "", after, count)


def _date_form(name: str) -> str:
    if "%Y" in name:
        if "%" in _DATE_CODE.sub("", name) or len(set(codes := _DATE_CODE.findall(name))) != len(
            codes
        ):
            raise OutputUnusable(f"file {name}: expected each of %Y %m %d %H %M %S at most once")
        return name
    places = list(_PLACE.finditer(name))
    if len(places) > 1 or name.count("%") != len(places):
        raise OutputUnusable(f"file {name}: expected one %d for the date, such as app_%d.log")
    return name[: places[0].start()] + _WHOLE_DATE + name[places[0].end() :]

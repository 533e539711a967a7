"""Which of a log's files is older. Pure: names, ages and a journal in, names out.

The journal knows in which order the log began its files. That order holds, whatever the names
say: a ring that was made smaller or larger, or changed its naming, has its numbers in any order.
A file that the journal does not know (restored, from another program, or the journal is lost)
goes where its first records put it, see `beginnings.py`. Files of one age follow each other as
their numbers do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from logd.outputs.files.journalentries import Append, Entry, Gap, Opened, Snapshot
from logd.outputs.files.names import DateNames, Key, Names, plain_name


class Age(NamedTuple):
    """How old a file is, to be compared with others; in nanoseconds since the epoch.

    Attributes:
        begun: the time of its first records; if none can be read, `written`.
        written: when it was last written to, for files whose records are of one time.
        is_read: whether its records tell.
    """

    begun: int
    written: int = 0
    is_read: bool = True


class KnownFiles:
    """The files of a log in the order in which it began them, with the records in each.

    Attributes:
        closed: plain name -> records; the file that is written to is not among them.
        current: plain name of the file that is written to, "" if there is none yet.
        begun: how many files there were ever, as far as it was counted.
        lines: records in the current file, as far as a journal told.
        written: plain name -> when the last record was written, as far as a journal told; in
            seconds since the epoch.
    """

    def __init__(
        self,
        closed: Mapping[str, int],
        current: str = "",
        begun: int = 0,
        written: Mapping[str, float] | None = None,
    ) -> None:
        self.closed = dict(closed)
        self.current = current
        self.begun = begun
        self.lines = 0
        self.written = dict(written or {})

    def copy(self) -> KnownFiles:
        """The same, to be changed by itself."""
        copy = KnownFiles(self.closed, self.current, self.begun, self.written)
        copy.lines = self.lines
        return copy

    @classmethod
    def of_journal(cls, entries: Sequence[Entry | Gap]) -> KnownFiles:
        """What a journal tells."""
        known = cls({})
        lines = 0
        for entry in entries:
            match entry:
                case Snapshot():
                    known = cls(dict(entry.files), begun=entry.begun, written=dict(entry.written))
                    if entry.current is not None:
                        known.current, lines = entry.current.name, entry.current.lines
                case Opened():
                    known.go_on(entry.name, lines, entry.before)
                    lines = entry.lines
                case Append():
                    lines += entry.entries
                    if entry.entries:
                        known.written[known.current] = entry.time
        known.lines = lines
        return known

    def go_on(self, name: str, lines: int, before: str = "") -> None:
        """A file was begun or taken up; the one before it was left with this many records.

        Args:
            name: the file.
            lines: records in the one before.
            before: what that one is called by now, if it was renamed.
        """
        if self.current and (before or self.current != name):
            written = self.written.pop(self.current, None)
            self._drop(self.current)
            self._drop(before)
            self.closed[before or self.current] = lines
            if written is not None:
                self.written[before or self.current] = written
        if before or self.current != name:
            self.begun += 1
            self._drop(name)
        self.closed.pop(name, None)
        self.current = name

    def _drop(self, name: str) -> None:
        self.closed.pop(name, None)
        self.written.pop(name, None)

    @property
    def names(self) -> list[str]:
        """All of them, oldest first."""
        return [*self.closed, self.current] if self.current else [*self.closed]

    @property
    def ordinals(self) -> dict[str, int]:
        """Plain name -> the how many-th file of the log it is, from 1 on; empty if unknown."""
        names = self.names
        first = self.begun - len(names) + 1
        return {name: first + place for place, name in enumerate(names)} if first > 0 else {}


def oldest_first(
    found: Collection[str], known: Sequence[str], names: Names, age: Callable[[str], Age]
) -> list[str]:
    """The files of a log, oldest first; the last is the one that is or was written to.

    Args:
        found: names of the folder, of whatever files.
        known: plain names in the order in which the log began them; the last one is written to.
        names: how the log's files are called.
        age: tells how old a file of the folder is; only asked if the journal does not know all.
    """
    rank = {name: place for place, name in enumerate(known)}
    current = known[-1] if known else names.current_name
    # Someone may have compressed the file that is written to: what is in there was before it.
    ages = {
        name: age(name)
        for name in found
        if names.matches(name)
        and name != current
        and (plain_name(name) not in rank or plain_name(name) == current)
    }
    ours = [
        name for name in found if name == current or (plain_name(name) in rank and name not in ages)
    ]
    # Beside a compressed file that is not its own, one has what came later.
    ours.sort(key=lambda name: (rank.get(plain_name(name), len(rank)), name == plain_name(name)))
    if not ages:
        return ours
    # The form of the current file that may be in use comes last, whatever the clock says.
    last = [name for name in ours if name == current]
    order: list[str] = []
    waiting = _by_age(ages, names)
    for name in ours[: len(ours) - len(last)]:
        own = age(name) if waiting else None
        while own is not None and waiting and _is_before(ages[waiting[0]], own):
            order.append(waiting.pop(0))
        order.append(name)
    return [*order, *waiting, *last]


def _is_before(strange: Age, known: Age) -> bool:
    # One whose records tell is not measured by the time of a file, which anybody may have set.
    return strange < known and (known.is_read or not strange.is_read)


def _by_age(ages: Mapping[str, Age], names: Names) -> list[str]:
    """Files that no journal knows."""
    keys = {name: _key(name, names) for name in ages}
    order: list[str] = []
    for _, group in groupby(sorted(ages, key=lambda n: (ages[n], keys[n])), ages.__getitem__):
        order += _in_turn(list(group), keys)
    # A date in a name was given when the file was begun, by the clock of this machine.
    dated = [n for n in order if isinstance(names.kind_of(plain_name(n)), DateNames)]
    in_order = iter(sorted(dated, key=lambda n: keys[n]))
    return [next(in_order) if name in dated else name for name in order]


def _key(name: str, names: Names) -> Key:
    kind = names.kind_of(plain_name(name))
    return (kind.key(plain_name(name)) or ()) if kind is not None else ()


def _in_turn(group: list[str], keys: Mapping[str, Key]) -> list[str]:
    """Files of one instant, by number; over the end of the ring, if a gap shows where it began."""
    numbers = [keys[name] for name in group]
    if numbers[0] != (0,):
        return group
    gaps = (at for at in range(1, len(group)) if numbers[at] > (numbers[at - 1][0] + 1,))
    start = max(gaps, default=0)
    return group[start:] + group[:start]

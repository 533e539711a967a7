"""Which of a log's files is older. Pure: names, times and a journal in, names out.

The journal knows in which order the log began its files. That order holds, whatever the names
say: a ring that was made smaller or larger, or changed its naming, has its numbers in any order.
A file that the journal does not know (restored, from another program, or the journal is lost)
goes where the time of its last write puts it. Files written within one tick of the clock follow
each other as their numbers do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from logd.outputs.files.journalentries import Append, Entry, Gap, Opened, Snapshot
from logd.outputs.files.names import DateNames, Key, Names, plain_name


class KnownFiles:
    """The files of a log in the order in which it began them, with the records in each.

    Attributes:
        closed: plain name -> records; the file that is written to is not among them.
        current: plain name of the file that is written to, "" if there is none yet.
        begun: how many files there were ever, as far as it was counted.
        lines: records in the current file, as far as a journal told.
    """

    def __init__(self, closed: Mapping[str, int], current: str = "", begun: int = 0) -> None:
        self.closed = dict(closed)
        self.current = current
        self.begun = begun
        self.lines = 0

    @classmethod
    def of_journal(cls, entries: Sequence[Entry | Gap]) -> KnownFiles:
        """What a journal tells."""
        known = cls({})
        lines = 0
        for entry in entries:
            match entry:
                case Snapshot():
                    known = cls(dict(entry.files), begun=entry.begun)
                    if entry.current is not None:
                        known.current, lines = entry.current.name, entry.current.lines
                case Opened():
                    known.go_on(entry.name, lines, entry.before)
                    lines = entry.lines
                case Append():
                    lines += entry.entries
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
            self.closed.pop(self.current, None)
            self.closed.pop(before, None)
            self.closed[before or self.current] = lines
        if before or self.current != name:
            self.begun += 1
        self.closed.pop(name, None)
        self.current = name

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


def oldest_first(found: Mapping[str, int], known: Sequence[str], names: Names) -> list[str]:
    """The files of a log, oldest first; the last is the one that is or was written to.

    Args:
        found: names of the folder, of whatever files -> when they were last written to.
        known: plain names in the order in which the log began them; the last one is written to.
        names: how the log's files are called.
    """
    rank = {name: place for place, name in enumerate(known)}
    current = known[-1] if known else names.current_name
    # Someone may have compressed the file that is written to: what is in there was before it.
    strange = {
        name: written
        for name, written in found.items()
        if names.matches(name)
        and name != current
        and (plain_name(name) not in rank or plain_name(name) == current)
    }
    ours = [
        name
        for name in found
        if name == current or (plain_name(name) in rank and name not in strange)
    ]
    # Beside a compressed file that is not its own, one has what came later.
    ours.sort(key=lambda name: (rank.get(plain_name(name), len(rank)), name == plain_name(name)))
    if not strange:
        return ours
    # The form of the current file that may be in use comes last, whatever the clock says.
    last = [name for name in ours if name == current]
    order: list[str] = []
    waiting = _by_time(strange, names)
    for name in ours[: len(ours) - len(last)]:
        while waiting and found[waiting[0]] < found[name]:
            order.append(waiting.pop(0))
        order.append(name)
    return [*order, *waiting, *last]


def _by_time(found: Mapping[str, int], names: Names) -> list[str]:
    """Files of which only names and times are known."""
    keys = {name: _key(name, names) for name in found}
    order: list[str] = []
    for _, group in groupby(sorted(found, key=lambda n: (found[n], keys[n])), found.__getitem__):
        order += _in_turn(list(group), keys)
    # A date in a name says more than the time of a file, which a copy changes.
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

"""Entries by a field, with what is known of each value: how many, since when, from where.

A value is new since a moment if no entry before that moment has it. That is known only if the log
reaches back far enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from logd.query.fields import label
from logd.query.positions import CannotRead
from logd.query.selection import Selection
from logd.query.source import LogSource, Watch, unwatched
from logd.query.summaries import Group
from logd.query.terms import Term
from logd.records.entry import Entry

MIN_BEFORE_S = 3600.0
"""A log must reach back so far before a moment to tell what is new since."""

MAX_GROUPS = 10_000
"""More values are not told apart."""

MAX_OLD = 500_000
"""If more values than these were there before a moment, it is not known which are new since."""

MAX_EXAMPLE_CHARS = 8 << 20
"""How much text the examples of all values may have. Of later ones only the beginning is kept."""

_CUT_CHARS = 1000

MARKS = (Term("logger", "=", "deploy"), Term("version", "has"))
"""Records that mark a deployment have one of these."""

_MARK_STARTS = ("deploy", "rollback")


@dataclass
class Groups:
    """What was found.

    Attributes:
        groups: value -> what is known of its entries.
        others: entries whose values were too many to be told apart.
        begins: the time of the first entry that was read, None without one.
    """

    groups: dict[str, Group] = field(default_factory=dict)
    others: int = 0
    begins: float | None = None
    _room: int = MAX_EXAMPLE_CHARS

    def add(self, name: str, entry: Entry) -> None:
        """Count an entry."""
        group = self.groups.get(name)
        if group is None:
            if len(self.groups) >= MAX_GROUPS or len(name) > _CUT_CHARS:
                self.others += 1
                return
            group = self.groups[name] = Group()
        group.add(entry)
        room = self._room + _size(group.example)
        if _size(entry) <= room:
            group.example = entry
        elif group.example is None:
            group.example = replace(entry, msg=entry.msg[:_CUT_CHARS], special={}, raw="")
        self._room = room - _size(group.example)

    def remove(self, name: str) -> None:
        """Know nothing of a value any more."""
        group = self.groups.pop(name, None)
        if group is not None:
            self._room += _size(group.example)

    def top(self) -> list[tuple[str, Group]]:
        """The values, most frequent first."""
        return sorted(self.groups.items(), key=lambda item: (-item[1].entries, item[0]))


def _size(entry: Entry | None) -> int:
    return 0 if entry is None else len(entry.msg) + len(entry.raw)


def group_by(
    source: LogSource, selection: Selection, name: str, *, watch: Watch = unwatched
) -> Groups:
    """The entries that pass, by a field."""
    groups = Groups()
    for entry in source.entries(selection, watch=watch):
        groups.add(label(entry, name), entry)
    return groups


def new_since(
    source: LogSource, selection: Selection, name: str, moment: float, *, watch: Watch = unwatched
) -> tuple[Groups, bool]:
    """The same of those values that have no entry before a moment; and whether that is certain.

    It is certain if the log reaches back `MIN_BEFORE_S` before the moment.

    Raises:
        CannotRead: there are too many values.
    """
    everything = replace(selection, since=None)
    first = next(source.entries(), None)
    begins = None if first is None else first.time
    # Hashes take a fraction of what the values do; that two are the same is next to impossible.
    old: set[int] = set()
    groups = Groups(begins=begins)
    for entry in source.entries(everything, watch=watch):
        value = label(entry, name)
        if entry.time is None or entry.time < moment:
            old.add(hash(value))
            groups.remove(value)
            if len(old) > MAX_OLD:
                raise CannotRead(
                    f"{source.name}: {name} has more than {MAX_OLD:,} values: which of them are "
                    "new can't be told"
                )
        elif hash(value) not in old and selection.has_time(entry.time):
            groups.add(value, entry)
    return groups, begins is not None and begins <= moment - MIN_BEFORE_S


def is_mark(entry: Entry) -> bool:
    """Whether a record marks a deployment: of the logger `deploy`, or with an item `version` and
    a message that begins with "deploy" or "rollback".
    """
    if MARKS[0].test(entry):
        return True
    return MARKS[1].test(entry) and entry.msg.lower().startswith(_MARK_STARTS)


def find_mark(source: LogSource, text: str) -> Entry | None:
    """The last mark whose message or version has this text; None if there is none."""
    found = None
    for term in MARKS:
        for entry in source.entries(Selection(terms=(term,)), newest_first=True):
            if is_mark(entry) and (text in entry.msg or text == str(entry.special.get("version"))):
                if found is None or (entry.time or 0.0) > (found.time or 0.0):
                    found = entry
                break
    return found

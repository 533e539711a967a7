"""Which entries are wanted. Pure.

Conditions of the same field are alternatives, those of different fields must all be fulfilled, as
with journalctl. Texts, regular expressions in the message, and comparisons of numbers must all be
fulfilled, too: two of them narrow a search down. What is excluded is excluded by each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from logd.query.fields import NO_LABEL, TEXT
from logd.query.patience import Patience
from logd.query.terms import COMPARISONS, Term
from logd.records.entry import Entry


@dataclass(frozen=True)
class Alternatives:
    """Conditions of which an entry has to fulfil one, or none of them.

    Attributes:
        terms: the conditions, of one field.
        is_not: whether an entry must fulfil none.
    """

    terms: tuple[Term, ...]
    is_not: bool

    @property
    def field(self) -> str:
        """The field they are about."""
        return self.terms[0].field

    def matches(self, entry: Entry) -> bool:
        """Whether an entry passes."""
        return any(term.test(entry) for term in self.terms) is not self.is_not


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What an entry has to be; without conditions all entries are wanted.

    Attributes:
        since: the earliest time, in seconds since the epoch.
        until: the time before which entries were logged.
        terms: the conditions, see the module.
        patience: bounds how long the conditions of an entry may take; None: nothing does.
    """

    since: float | None = None
    until: float | None = None
    terms: tuple[Term, ...] = ()
    patience: Patience | None = field(default=None, compare=False, repr=False)

    @property
    def has_times(self) -> bool:
        """Whether it asks for times."""
        return self.since is not None or self.until is not None

    @cached_property
    def groups(self) -> Sequence[Alternatives]:
        """The conditions, alternatives together."""
        together: dict[tuple[object, ...], list[Term]] = {}
        for place, term in enumerate(self.terms):
            is_alone = term.field == TEXT or term.operator in COMPARISONS
            own = place if is_alone and not term.is_not else None
            key = (term.field, term.is_not, own, term.bound)
            together.setdefault(key, []).append(term)
        return [Alternatives(tuple(terms), terms[0].is_not) for terms in together.values()]

    @cached_property
    def cats(self) -> frozenset[str] | None:
        """The categories that are wanted, "" for none; None if that is said otherwise or not."""
        found = None
        for group in self.groups:
            if group.field == "cat" and not group.is_not and all(t.is_plain for t in group.terms):
                cats = {"" if term.value == NO_LABEL else term.value for term in group.terms}
                found = frozenset(cats if found is None else found & cats)
        return found

    @cached_property
    def pids(self) -> frozenset[int] | None:
        """The process ids that are wanted, of whatever host; None if that is not certain."""
        for group in self.groups:
            if group.field == "pid" and not group.is_not and all(t.is_plain for t in group.terms):
                return frozenset(int(term.value.partition("@")[0]) for term in group.terms)
        return None

    @cached_property
    def _tests(self) -> Sequence[Callable[[Entry], bool]]:
        # What is quick to tell first.
        order = sorted(self.groups, key=lambda group: group.field in (TEXT, "exc", "traceback"))
        return [group.matches for group in order]

    def matches(self, entry: Entry) -> bool:
        """Whether the entry passes."""
        if self.has_times and not self.has_time(entry.time):
            return False
        if self.patience is not None:
            return self.patience.compare(self._passes, entry)
        return self._passes(entry)

    def _passes(self, entry: Entry) -> bool:
        return all(test(entry) for test in self._tests)

    def has_time(self, time: float | None) -> bool:
        """Whether the time is within; what has none is not."""
        return (
            time is not None
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )

    def also(self, terms: Iterable[Term]) -> Selection:
        """The same with further conditions."""
        return replace(self, terms=(*self.terms, *terms))

    def without(self, field: str) -> Selection:
        """The same without the conditions of a field: for a facet that shows its alternatives.

        What is bound stays.
        """
        kept = tuple(term for term in self.terms if term.bound or term.field != field)
        return replace(self, terms=kept)


EVERYTHING = Selection()
"""All entries."""

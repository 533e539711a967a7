"""The ring of log tables as plain values: which there are, which is next, what goes where.

Pure: the output plans a whole transaction on a `Ring`, carries the plan out, and only when that is
committed takes the new ring for its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from logd.rotation.policy import Closed

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.rotation.policy import Retention, RotationPolicy

# What a record takes besides its text, roughly: numbers, names, call path, index entries.
ROW_BYTES = 200


@dataclass(frozen=True, kw_only=True)
class TableEntry:
    """What is known of one table of the ring.

    Attributes:
        serial: counts the tables that the ring ever had, from 0.
        table_name: its name.
        first_id: the `id` of its first record.
        records: how many it has.
        size: about how many bytes they take.
        opened: when it was begun, in seconds since the epoch.
        written: when it was last written to; None if it never was.
        first_time: the earliest time of its records; None without any.
        last_time: the latest.
        transactions: the ring's number of the last transaction that wrote to it.
        layout: a digest of its columns; empty if logd did not make it.
    """

    serial: int
    table_name: str
    first_id: int = 0
    records: int = 0
    size: int = 0
    opened: float = 0.0
    written: float | None = None
    first_time: float | None = None
    last_time: float | None = None
    transactions: int = 0
    layout: str = ""

    def with_batch(self, batch: Batch, now: float) -> TableEntry:
        """The entry after `batch` was written at `now`; its time begins with the first record."""
        first, last = min(batch.time), max(batch.time)
        return replace(
            self,
            opened=self.opened if self.records else now,
            records=self.records + len(batch),
            size=self.size + sum(map(len, batch.msg)) + ROW_BYTES * len(batch),
            written=now,
            first_time=first if self.first_time is None else min(first, self.first_time),
            last_time=last if self.last_time is None else max(last, self.last_time),
        )

    @property
    def next_id(self) -> int:
        """The `id` of the next record."""
        return self.first_id + self.records


@dataclass(frozen=True)
class TableNames:
    """How the tables of a ring are called.

    Attributes:
        before: what stands before the number or date.
        after: what stands behind it.
        count: how many numbers there are; None for no end of them.
        naming: by number or by date.
        utc: whether dates are UTC.
    """

    before: str
    after: str
    count: int | None = None
    naming: Literal["ring", "date"] = "ring"
    utc: bool = False

    def number(self, name: str) -> int | None:
        """The number in `name`; None if it has none or is not of this ring."""
        end = len(name) - len(self.after)
        middle = name[len(self.before) : end]
        is_ours = name.startswith(self.before) and name.endswith(self.after)
        return int(middle) if is_ours and middle.isdecimal() and len(middle) < 16 else None

    def next_name(self, entries: Sequence[TableEntry], now: float) -> tuple[str, TableEntry | None]:
        """The name of the next table, and the one of `entries` (in order) that it replaces."""
        used = {entry.table_name: entry for entry in entries}
        if self.naming == "date":
            date = time.strftime(
                "%Y%m%d_%H%M%S", (time.gmtime if self.utc else time.localtime)(now)
            )
            return self._unused(date, used), None
        current = self.number(entries[-1].table_name) if entries else None
        start = 0 if current is None else current + 1
        if self.count is None:
            while (name := self._name(start)) in used:
                start += 1
            return name, None
        for step in range(self.count):
            name = self._name((start + step) % self.count)
            if name not in used:
                return name, None
        # All in use: the oldest makes room. With a ring made smaller it may have another name.
        oldest = next(entry for entry in entries if self._is_in_ring(entry.table_name))
        return oldest.table_name, oldest

    def _is_in_ring(self, name: str) -> bool:
        number = self.number(name)
        return number is not None and self.count is not None and number < self.count

    def _name(self, number: int) -> str:
        return f"{self.before}{number}{self.after}"

    def _unused(self, date: str, used: dict[str, TableEntry]) -> str:
        name, again = f"{self.before}{date}{self.after}", 1
        while name in used:
            again += 1
            name = f"{self.before}{date}_{again}{self.after}"
        return name


class TablePlace(NamedTuple):
    """Where some records go.

    Attributes:
        serial: of the table.
        batch: the records.
        first_id: the `id` of the first.
        position: of the batch, among those dealt out, that they are of.
        start: the row in that batch of the first of them.
    """

    serial: int
    batch: Batch
    first_id: int
    position: int
    start: int


@dataclass(frozen=True)
class Ring:
    """The tables there are, oldest first; the last is the current one.

    Attributes:
        names: how its tables are called.
        policy: when the current one is full.
        retention: what is kept of the others.
        layout: a digest of the columns that new tables get.
        entries: the tables; none only before the first was made.
        transactions: how many transactions wrote to the ring so far.
    """

    names: TableNames
    policy: RotationPolicy
    retention: Retention
    layout: str = ""
    entries: tuple[TableEntry, ...] = ()
    transactions: int = 0

    @property
    def current(self) -> TableEntry:
        """The table that is written to."""
        return self.entries[-1]

    @property
    def next_serial(self) -> int:
        """The serial of the next table."""
        return self.entries[-1].serial + 1 if self.entries else 0

    def is_due(self, now: float) -> bool:
        """True if the current table has records and its time is over at `now`."""
        return self.current.records > 0 and self.policy.due_after(self.current.opened) <= now

    def rotated(self, now: float) -> Ring:
        """The ring with a new, empty table as the current one, and what it replaces gone."""
        name, replaced = self.names.next_name(self.entries, now)
        new = TableEntry(
            serial=self.next_serial,
            table_name=name,
            first_id=self.current.next_id if self.entries else 1,
            opened=now,
            transactions=self.transactions,
            layout=self.layout,
        )
        kept = tuple(entry for entry in self.entries if entry is not replaced)
        return replace(self, entries=(*kept, new)).trimmed(now)

    def trimmed(self, now: float) -> Ring:
        """The ring without the tables that retention no longer keeps."""
        closed = [
            Closed(entry.size, entry.opened if entry.written is None else entry.written)
            for entry in self.entries[:-1]
        ]
        surplus = self.retention.surplus(closed, now, self.current.size)
        return replace(self, entries=self.entries[surplus:]) if surplus else self

    def counted(self) -> Ring:
        """The ring as the next transaction leaves it: numbered in its current entry."""
        number = self.transactions + 1
        current = replace(self.current, transactions=number)
        return replace(self, entries=(*self.entries[:-1], current), transactions=number)

    def placed(self, batches: Sequence[Batch], now: float) -> tuple[Ring, list[TablePlace]]:
        """Deal out `batches` over the current table and as many new ones as they fill.

        Returns:
            The ring afterwards, and where each piece goes. Pieces whose table the ring has come
            round to again within these very batches are left out: their table is gone.
        """
        ring = self.rotated(now) if self.is_due(now) else self
        places: list[TablePlace] = []
        for position, batch in enumerate(batches):
            start = 0
            while start < len(batch):
                if ring.policy.is_full(ring.current.records, ring.current.size):
                    ring = ring.rotated(now)
                current = ring.current
                room = len(batch) - start
                if ring.policy.lines is not None:
                    room = min(room, ring.policy.lines - current.records)
                is_whole = start == 0 and room == len(batch)
                piece = batch if is_whole else batch.part(start, start + room)
                places.append(TablePlace(current.serial, piece, current.next_id, position, start))
                entries = (*ring.entries[:-1], current.with_batch(piece, now))
                ring = replace(ring, entries=entries)
                start += room
        ring = ring.trimmed(now)
        kept = {entry.serial for entry in ring.entries}
        return ring, [place for place in places if place.serial in kept]

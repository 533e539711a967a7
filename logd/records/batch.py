"""Records on their way through the daemon, in columns.

Work per record is what a log daemon spends its time on, so nothing here is done per record that
can be done once for many. Records of one sender differ in their time, number, text and special
items; all else (process, thread, category, call path) comes from a few places in the program that
repeat. Such a place is a `Context`, and a `Batch` holds its contexts once and, for each record,
the position of its context. Decoders make batches, writers format the contexts of a batch once
and then only the few columns that really differ.

`MsgJob` is the same record as an object, made only if filters, observers or a format of the
user's own want to see one record at a time: `Batch.jobs` takes a batch apart, `Batch.from_jobs`
puts one together.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat

from logd.records.callpath import PathFormatter
from logd.records.context import Context, Special
from logd.records.fitting import (
    context_of,
    fitting_int,
    fitting_items,
    fitting_text,
    fitting_time,
    position_of,
)
from logd.records.job import MsgJob

_TextsOf = Callable[[Sequence[float]], Sequence[str]]


class Batch:
    """Some records of one sender, in the order they were sent. Not changed after it was made.

    All columns have the same length, `len(batch)`. It is 0 only in what `of_none` makes.

    Attributes:
        contexts: the contexts, each in use at least once; equal ones may come twice.
        index: for each record the position of its context in `contexts`.
        msgid: the sender's message ids.
        time: seconds since the epoch, taken at the sender; finite, year 1970 to 9999.
        msg: the texts, as sent: any character may be in them, lone surrogates too.
        special: record number in this batch -> its items; records without items are not in it.
        peer: where the records came from: an IP address, or "" for this machine.
        client: 16-byte id of the session they came by, None for senders without acks.
        first: the first sequence number of its session that it covers, 0 without one; that of
            its first record, unless filters left that out.
        floor: numbers of the session up to this one never come again: the sender holds no more
            of them. 0 if that is unknown.
        ts: the times as text ("" without timestamps), filled in by the `LogServer`; None before.
            Not all outputs want them: see `make_ts`.
        formatter: makes text of file names; set by the `LogServer` too.
        sequence: the records' sequence numbers, ascending, if filters left some records out;
            None if they follow each other without a gap from `first` on.
    """

    __slots__ = (
        "_last",
        "_make_ts",
        "_ts",
        "client",
        "contexts",
        "first",
        "floor",
        "formatter",
        "index",
        "msg",
        "msgid",
        "peer",
        "sequence",
        "special",
        "time",
    )

    def __init__(
        self,
        contexts: Sequence[Context],
        index: Sequence[int],
        msgid: Sequence[int],
        time: Sequence[float],
        msg: Sequence[str],
        special: Mapping[int, Special] | None = None,
        *,
        peer: str = "",
        client: bytes | None = None,
        first: int = 0,
        floor: int = 0,
        ts: Sequence[str] | None = None,
        formatter: PathFormatter | None = None,
        sequence: Sequence[int] | None = None,
        last: int | None = None,
    ) -> None:
        """Make a batch of columns; `last` says where it ends if not at its last record."""
        self.contexts = contexts
        self.index = index
        self.msgid = msgid
        self.time = time
        self.msg = msg
        self.special: Mapping[int, Special] = special if special is not None else {}
        self.peer = peer
        self.client = client
        self.first = first
        self.floor = floor
        self._ts = ts
        self._make_ts: _TextsOf | None = None
        self.formatter = formatter
        self.sequence = sequence
        self._last = last

    @property
    def ts(self) -> Sequence[str] | None:
        """See the class."""
        if self._ts is None and self._make_ts is not None:
            self._ts = self._make_ts(self.time)
        return self._ts

    @ts.setter
    def ts(self, texts: Sequence[str] | None) -> None:
        self._ts = texts

    def make_ts(self, texts_of: _TextsOf) -> None:
        """From now on the times have texts, made once somebody asks for them, in any thread."""
        self._make_ts = texts_of

    @classmethod
    def of_none(cls, client: bytes, first: int, last: int, floor: int = 0) -> Batch:
        """No records, but the word that the numbers `first` to `last` of a session are done with.

        Only outputs that ask for such batches get them.
        """
        return cls((), b"", (), (), (), client=client, first=first, floor=floor, ts=(), last=last)

    @classmethod
    def from_jobs(cls, jobs: Sequence[MsgJob], original: Batch | None = None) -> Batch:
        """Put records together that came from one peer and session, at least one.

        Filters may leave anything in a record. What does not fit its column is made to fit.

        Args:
            jobs: the records, in the order of their sequence numbers.
            original: the batch that they were taken from, if they were: the new batch covers the
                same sequence numbers, those of the records left out included.
        """
        positions: dict[Context, int] = {}
        index = [position_of(context_of(job), positions) for job in jobs]
        client, first, floor = jobs[0].client, jobs[0].sequence, 0
        last = sequence = None
        if original is not None:
            client, first, last = original.client, original.first, original.last
            floor = original.floor
        if client is not None:
            sequence = [job.sequence for job in jobs]
            last = sequence[-1] if last is None else last
            if sequence[0] == first and last == first + len(jobs) - 1:
                last = sequence = None
        return cls(
            tuple(positions),
            bytes(index) if len(positions) <= 256 else array("l", index),
            [fitting_int(job.msgid) for job in jobs],
            [fitting_time(job.time) for job in jobs],
            [fitting_text(job.msg) for job in jobs],
            {row: fitting_items(job.special) for row, job in enumerate(jobs) if job.special},
            peer=jobs[0].peer,
            client=client,
            first=first if client is not None else 0,
            floor=floor,
            ts=[fitting_text(job.ts) for job in jobs],
            formatter=jobs[0].formatter,
            sequence=sequence,
            last=last if client is not None else None,
        )

    @classmethod
    def of_lone(cls, batches: Sequence[Batch]) -> Batch:
        """Batches of one record each as one; of no session, for their marks differ.

        They have their peer and their formatter in common, and all have texts of their times.
        """
        return cls(
            [batch.contexts[batch.index[0]] for batch in batches],
            range(len(batches)),
            [batch.msgid[0] for batch in batches],
            [batch.time[0] for batch in batches],
            [batch.msg[0] for batch in batches],
            {row: batch.special[0] for row, batch in enumerate(batches) if batch.special},
            peer=batches[0].peer,
            ts=[batch.ts[0] if batch.ts else "" for batch in batches],
            formatter=batches[0].formatter,
        )

    def jobs(self) -> list[MsgJob]:
        """Each record as an object of its own."""
        count = len(self)
        contexts, special = self.contexts, self.special
        ts = repeat("", count) if self.ts is None else self.ts
        if self.sequence is not None:
            sequence = self.sequence
        else:
            sequence = range(self.first, self.first + count) if self.client else [0] * count
        columns = zip(self.index, self.msgid, self.time, ts, self.msg, sequence, strict=True)
        jobs = []
        for row, (position, msgid, time, text, msg, number) in enumerate(columns):
            context = contexts[position]
            job = MsgJob(
                msgid,
                context.pid,
                context.tid,
                context.threadname,
                text,
                msg,
                context.cat,
                context.path,
                context.tblen,
                context.cfunc,
                special.get(row),
                self.formatter,
                time=time,
                peer=self.peer,
                client=self.client,
                sequence=number,
            )
            jobs.append(job)
        return jobs

    def __len__(self) -> int:
        return len(self.msg)

    @property
    def prev(self) -> int:
        """The sequence number before the first that it covers: it covers `(prev, last]`."""
        return self.first - 1 if self.client is not None else 0

    @property
    def last(self) -> int:
        """Sequence number of the last record it covers in its session, 0 without one.

        That is its last record's, unless a filter dropped records after that.
        """
        if self._last is not None:
            return self._last
        return self.first + len(self.msg) - 1 if self.client is not None else 0

    def part(self, start: int, stop: int) -> Batch:
        """The records from `start` up to but without `stop`, as a batch of their own."""
        first, last, sequence = self.first, None, None
        if self.sequence is not None:
            sequence = self.sequence[start:stop]
            # What filters left out in front of a part belongs to it: parts leave no number out.
            first = first if start == 0 else self.sequence[start - 1] + 1
            last = self.last if stop >= len(self) else sequence[-1]
        elif self.client is not None:
            first += start
        part = Batch(
            self.contexts,
            self.index[start:stop],
            self.msgid[start:stop],
            self.time[start:stop],
            self.msg[start:stop],
            {row - start: items for row, items in self.special.items() if start <= row < stop},
            peer=self.peer,
            client=self.client,
            first=first,
            floor=self.floor,
            ts=None if self._ts is None else self._ts[start:stop],
            formatter=self.formatter,
            sequence=sequence,
            last=last,
        )
        part._make_ts = self._make_ts
        return part

    def of_rows(self, rows: Sequence[int]) -> Batch:
        """Some records, at least one, in ascending order; it covers all sequence numbers of this.

        As `from_jobs` with what filters left, by columns.
        """
        if len(rows) == len(self):
            return self
        used: dict[int, int] = {}
        index = [used.setdefault(self.index[row], len(used)) for row in rows]
        special, client = self.special, self.client
        sequence: Sequence[int] | None = None
        if client is not None:
            numbers = self.sequence or range(self.first, self.first + len(self))
            sequence = [numbers[row] for row in rows]
        left = Batch(
            [self.contexts[position] for position in used],
            index,
            [self.msgid[row] for row in rows],
            [self.time[row] for row in rows],
            [self.msg[row] for row in rows],
            {new: special[row] for new, row in enumerate(rows) if row in special},
            peer=self.peer,
            client=client,
            first=self.first,
            floor=self.floor,
            ts=None if self._ts is None else [self._ts[row] for row in rows],
            formatter=self.formatter,
            sequence=sequence,
            last=self.last if client is not None else None,
        )
        left._make_ts = self._make_ts
        return left

    def in_session(self, client: bytes | None, first: int = 0) -> Batch:
        """The same records as those of another session, numbered from `first` on, or of none."""
        same = Batch(
            self.contexts,
            self.index,
            self.msgid,
            self.time,
            self.msg,
            self.special,
            peer=self.peer,
            client=client,
            first=first,
            ts=self._ts,
            formatter=self.formatter,
        )
        same._make_ts = self._make_ts
        return same

    def number(self, client: bytes, first: int) -> None:
        """Make it one of a session; only for its maker, before anybody else has seen it."""
        self.client, self.first = client, first

    def after(self, mark: int) -> Batch | None:
        """The records whose sequence number is over `mark`; None if that leaves nothing.

        Batches without a session are returned whole: nothing tells whether they were seen.
        """
        if self.client is None or mark < self.first:
            return self
        if not self.msg:
            return self if mark < self.last else None
        if self.sequence is not None:
            skip = bisect_right(self.sequence, mark)
        else:
            skip = mark - self.first + 1
        return self.part(skip, len(self)) if skip < len(self) else None

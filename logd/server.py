"""The pipeline: filters, then the writer, then observers. In a process of its own or in the app's.

A `LogServer` is what `Log` of `logd_client` writes to if the log is local, and what the daemon
asks to filter and observe. It opens no sockets and no files; its writer does the writing.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from logd.errors import LogdError
from logd.records.batch import Batch
from logd.records.callpath import Path, path_text, short_name
from logd.records.failures import FailureReports
from logd.records.job import MsgJob
from logd.records.writing import write_records
from logd.text.timestamps import Timestamps

_JOB_FIELDS = 11


class ObserverAlreadyAdded(LogdError, AssertionError):
    """Attempt to add an observer (or filter) twice.

    The document names this exception for `addObserver` and AssertionError for the lists given to
    `LogServer`; it is both, so that either can be caught in either place.
    """


class ColumnConfigurationMismatch(LogdError):
    """A configured column is impossible, e.g. because its name is reserved; the text says why."""


def _asks_by_rows(one: object) -> bool:
    """Whether a filter tells for a whole batch what it keeps: `wanted_rows(batch)`.

    A class that is derived from such a one may have another `__call__`: it is called.
    """
    return {"wanted_rows", "__call__"} <= vars(type(one)).keys()


class Prepared(NamedTuple):
    """What the filters left of a batch.

    Attributes:
        batch: what is to be written; None if nothing is left.
        jobs: its records for `LogServer.observe`; None if there are no observers.
    """

    batch: Batch | None
    jobs: list[MsgJob] | None


class LogServer:
    """Filters records, writes them, shows them to observers. Safe to share between threads.

    Filters and observers are callables that get (jobhist, writer): `jobhist` is the list of the
    last records, the current one at [-1]; `writer` is the server's writer. One that has a method
    `observe` is called by that. They run one record at a time, in the order given; a filter may
    change the record or `drop()` it. One that fails harms no record: the failure becomes a record
    of category `CAT_INTERNALERROR`, the same failure at most once a minute. What they log through
    the same server is written, but not filtered and observed in turn.

    Args:
        writer: has `writeNow(job)`, and may have `write_batch(batch)` for many records at once.
        filters: called before the record is written.
        observers: called after the record was written; what they change is seen by the observers
            after them, not in the log.
        cfnMode: `CFN_SHORT` for file names without folders and without a last `.py`, `CFN_NAME`
            for names with it, `CFN_FULL` for whole paths.
        tsFormat: of timestamps, as for `time.strftime`, `%3N` is milliseconds; "std1" is
            "%H:%M.%S;%3N", "std2" is "%m/%d %H:%M.%S"; None for no timestamps.
        jobhistSize: how many records `jobhist` has at most.

    Raises:
        ObserverAlreadyAdded: an observer or filter is twice in its list (an AssertionError).
    """

    CAT_INTERNALERROR = "I"
    CFN_SHORT = 1
    CFN_FULL = 2
    CFN_NAME = 4

    def __init__(
        self,
        writer: Any,
        filters: Iterable[Callable[..., Any]] | None = None,
        observers: Iterable[Callable[..., Any]] | None = None,
        cfnMode: int = CFN_SHORT,
        tsFormat: str | None = None,
        jobhistSize: int = 100,
    ) -> None:
        if cfnMode not in (self.CFN_SHORT, self.CFN_FULL, self.CFN_NAME):
            raise ValueError(f"cfnMode: expected CFN_SHORT, CFN_FULL or CFN_NAME, got {cfnMode!r}")
        if jobhistSize < 1:
            raise ValueError(f"jobhistSize: expected at least 1, got {jobhistSize!r}")
        self.writer = writer
        self.filters: list[Callable[..., Any]] = []
        self.observers: list[Callable[..., Any]] = []
        for one in filters or ():
            _append_once(self.filters, one, "filter")
        for one in observers or ():
            _append_once(self.observers, one, "observer")
        self.cfnMode = cfnMode
        self._timestamps = Timestamps(tsFormat)
        self._jobhistSize = jobhistSize
        # Records are filtered before those before them in the batch were observed, so that each
        # of the two sees a history of its own.
        self._filter_history: list[MsgJob] = []
        self._history: list[MsgJob] = []
        self._client_ids = itertools.count(1)
        self._failures = FailureReports(self.CAT_INTERNALERROR)
        # Reentrant, because filters and observers may log.
        self._lock = threading.RLock()
        self._is_calling = False
        if hasattr(os, "register_at_fork"):
            # A thread of the parent may hold the lock at the fork; it does not exist in the child.
            os.register_at_fork(after_in_child=_lock_renewal(weakref.ref(self)))

    # -- what clients call -------------------------------------------------------------------

    @property
    def _writer(self) -> Any:
        """The writer in force, by the name that subclasses of the reference's class know."""
        return self.writer

    @_writer.setter
    def _writer(self, writer: Any) -> None:
        self.writer = writer

    def addClient(self) -> int:
        """A client id that no other client of this server has."""
        return next(self._client_ids)

    def log(self, jobdata: Sequence[Any]) -> None:
        """Write one record given as the client's tuple of 11; returns when it is written.

        Args:
            jobdata: (msgid, pid, tid, threadname, ts, msg, cat, path, tblen, cfunc, special), `ts`
                in seconds since the epoch. Internal format, do not rely on it.

        Raises:
            ValueError: these are not 11 items.
            OSError: the writer's, and whatever else it raises.
        """
        if len(jobdata) != _JOB_FIELDS:
            raise ValueError(f"a record has {_JOB_FIELDS} items, got {len(jobdata)}")
        msgid, pid, tid, threadname, ts, msg, cat, path, tblen, cfunc, special = jobdata
        job = MsgJob(
            msgid,
            pid,
            tid,
            threadname,
            self._timeStr(ts),
            msg,
            cat,
            tuple((name, line) for name, line in path or ()),
            tblen,
            cfunc,
            special,
            self,
            time=ts,
        )
        self.logJob(job)

    def logJob(self, job: MsgJob) -> None:
        """Filter, write and observe one record; returns when that is done."""
        with self._lock:
            if not self._apply_filters(job):
                self._write_failures()
                return
            self.writer.writeNow(job)
            self.observe([job])

    def log_batch(self, batch: Batch) -> Batch | None:
        """Filter, write and observe many records; returns when that is done.

        Returns:
            What was written; None if the filters dropped everything.
        """
        with self._lock:
            prepared = self.prepare(batch)
            if prepared.batch is not None:
                self.write_prepared(prepared.batch)
            self.observe(prepared.jobs or ())
            return prepared.batch

    # -- the steps, for the daemon -----------------------------------------------------------

    def prepare(self, batch: Batch) -> Prepared:
        """Fill in the timestamps and run the filters; nothing is written yet.

        Args:
            batch: as it was decoded; its `ts` and `formatter` are set here.

        Returns:
            What is to be written. Filters may shorten it; it still covers the same sequence
            numbers.
        """
        batch.make_ts(self._timestamps.texts)
        batch.formatter = self
        if not (self.filters or self.observers):
            return Prepared(batch, None)
        with self._lock:
            if self._is_calling:
                return Prepared(batch, None)
            if not self.observers and all(map(_asks_by_rows, self.filters)):
                return Prepared(self._left_by_rows(batch), None)
            jobs = batch.jobs()
            if self.filters:
                kept = [job for job in jobs if self._apply_filters(job)]
                self._write_failures()
                if not kept:
                    return Prepared(None, None)
                batch, jobs = Batch.from_jobs(kept, batch), kept
            return Prepared(batch, jobs if self.observers else None)

    def fill_in(self, batches: Sequence[Batch]) -> None:
        """Fill in the timestamps of batches that no filter and no observer looks at."""
        if len(batches) == 1:
            (batch,) = batches
            batch.ts, batch.formatter = self._timestamps.texts(batch.time), self
            return
        texts = iter(
            self._timestamps.texts([instant for batch in batches for instant in batch.time])
        )
        for batch in batches:
            batch.ts = list(itertools.islice(texts, len(batch)))
            batch.formatter = self

    def _left_by_rows(self, batch: Batch) -> Batch | None:
        """What filters leave that look at whole batches; nobody sees single records."""
        for one in self.filters:
            rows = one.wanted_rows(batch)  # type: ignore[attr-defined]
            if not rows:
                return None
            batch = batch.of_rows(rows)
        return batch

    def write_prepared(self, batch: Batch) -> None:
        """Write what `prepare` returned."""
        with self._lock:
            write_records(self.writer, batch)

    def observe(self, jobs: Iterable[MsgJob]) -> None:
        """Show records that were written to the observers, one by one."""
        with self._lock:
            if self.observers and not self._is_calling:
                for job in jobs:
                    self._remember(self._history, job)
                    for observer in tuple(self.observers):
                        self._call(observer, self._history, "observer")
            self._write_failures()

    def write_reports(self) -> None:
        """Write what was reported and noted, without waiting for the next record."""
        with self._lock:
            self._write_failures()

    def addObserver(self, observer: Callable[..., Any]) -> None:
        """Append the observer at the end of the list.

        Raises:
            ObserverAlreadyAdded: it is in the list.
        """
        with self._lock:
            _append_once(self.observers, observer, "observer")

    def report(self, what: str, error: BaseException) -> None:
        """Note that `what` failed, to be written as a record of category `CAT_INTERNALERROR`.

        It is written with the next record; the same failure at most once a minute, with a count.
        """
        self._failures.add(what, error)

    def note(self, text: str, kind: object = None, *, cat: str | None = None) -> None:
        """Note one line about the log itself, written as `report` does.

        Args:
            text: the line.
            kind: lines of one kind are one failure: hashable; by their text if None.
            cat: its category; `CAT_INTERNALERROR` if None.
        """
        self._failures.note(text if kind is None else kind, text, category=cat)

    # -- text of names and times -------------------------------------------------------------

    def format_fname(self, name: str | None) -> str | None:
        """A file name in the configured format (`cfnMode`); None for None."""
        if name is None or self.cfnMode == self.CFN_FULL:
            return name
        short = short_name(name)
        return (short.removesuffix(".py") or short) if self.cfnMode == self.CFN_SHORT else short

    def pathAsStr(self, path: Path, imin: int = 0) -> str:
        """The call path from item `imin` on as text; empty for an empty path."""
        return path_text(path, self.format_fname, imin)

    def _timeStr(self, dt: Any) -> str:
        """Readable time info in my `tsFormat`; empty without one.

        The document does not say what `dt` is. Seconds since the epoch, a datetime, a struct_time,
        and what `tm_structconverter` returns are understood.
        """
        if isinstance(dt, datetime):
            dt = dt.timestamp()
        elif isinstance(dt, time.struct_time):
            dt = time.mktime(dt)
        elif isinstance(dt, tuple):
            dt = time.mktime(dt[0]) + dt[1] / 1000
        return self._timestamps.text(dt)

    # -- filters, observers and their failures -----------------------------------------------

    def _apply_filters(self, job: MsgJob) -> bool:
        """Run the filters for one record; False if one dropped it."""
        if not self.filters or self._is_calling:
            return True
        self._remember(self._filter_history, job)
        for one in tuple(self.filters):
            # As with `logging`: a filter that returns False does not want the record.
            if self._call(one, self._filter_history, "filter") is False:
                job.drop()
            if job.dropped:
                if self._filter_history and self._filter_history[-1] is job:
                    del self._filter_history[-1]
                return False
        return True

    def _remember(self, history: list[MsgJob], job: MsgJob) -> None:
        history.append(job)
        if len(history) > self._jobhistSize:
            del history[0]

    def _call(self, one: Callable[..., Any], history: list[MsgJob], kind: str) -> object:
        """What a filter or observer returns; None if it failed."""
        call = getattr(one, "observe", one)
        self._is_calling = True
        try:
            return call(history, self.writer)
        except Exception as error:  # whatever it is, the record must not be harmed
            self._failures.add(f"{kind} {_name_of(one)}", error)
            return None
        finally:
            self._is_calling = False

    def _write_failures(self) -> None:
        """Write the reports that are due, and show them to the observers."""
        take_failures = getattr(self.writer, "take_failures", None)
        if take_failures is not None:
            for what, error in take_failures():
                self._failures.add(what, error)
        if self._is_calling or (batch := self._failures.take()) is None:
            return
        batch.ts = self._timestamps.texts(batch.time)
        batch.formatter = self
        try:
            self.write_prepared(batch)
        except Exception as error:  # the record that was being written must not be harmed
            self._failures.add("writing a report of a failure", error)
        if self.observers:
            # Failures on this way are counted; they come with the next report.
            for job in batch.jobs():
                self._remember(self._history, job)
                for observer in tuple(self.observers):
                    self._call(observer, self._history, "observer")


def _append_once(callables: list[Callable[..., Any]], one: Callable[..., Any], kind: str) -> None:
    if one in callables:
        raise ObserverAlreadyAdded(f"{kind} {_name_of(one)} is in the list already")
    callables.append(one)


def _name_of(one: Any) -> str:
    named = one if hasattr(one, "__qualname__") else type(one)
    return f"{named.__module__}.{named.__qualname__}"


def _lock_renewal(reference: weakref.ref[LogServer]) -> Callable[[], None]:
    def renew() -> None:
        server = reference()
        if server is not None:
            server._lock = threading.RLock()
            server._is_calling = False

    return renew

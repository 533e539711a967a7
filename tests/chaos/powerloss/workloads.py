"""What is recorded, and what must be true after the machine died in the middle of it.

A workload is the part of logd that keeps something on disk, used as the daemon or the client uses
it, from a fixed seed. While it runs it notes "sent CLIENT N" before and "acked CLIENT N" after it
may tell anyone. `check` goes on where the marks before the moment of the loss say that its clients
stood.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from logd.outputs.base import Output, OutputUnavailable
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.files import journal
from logd.outputs.files.output import FileOutput
from logd.outputs.tables.output import TableOutput
from logd.query.files.source import FileSource
from logd.rotation.policy import Retention, RotationPolicy
from logd_client.decoding import rows_of_frame
from logd_client.records import Context as ClientContext
from logd_client.rowjournal import RowJournal
from logd_client.rows import NumberedRows
from logd_client.spool import Spool as ClientSpool
from logd_client.spool import open_leftovers
from logd_client.spoolreader import LeftRecords
from tests.chaos.powerloss.judging import (
    CLIENTS,
    MESSAGE,
    TOTAL,
    Mark,
    Workload,
    client_id,
    compared,
    facts,
    spans_of,
)
from tests.chaos.powerloss.whole import WholeDaemon
from tests.outputs.output_making import make_settings, numbered


class OutputWorkload:
    """An output of the daemon, written to and synced at the same time, as its worker does.

    Args:
        make: makes the output, closed.
        messages: what the log holds, oldest first.
        may_lack_oldest: the ring may have come round.
    """

    def __init__(
        self,
        make: Callable[[Path], Output],
        messages: Callable[[Path], list[str]],
        *,
        may_lack_oldest: bool = False,
    ) -> None:
        self._make = make
        self._messages = messages
        self._may_lack_oldest = may_lack_oldest

    def run(self, folder: Path, marks: Sequence[str], mark: Mark) -> None:
        output = self._make(folder)
        self._go_on(output, _opened(output), facts(marks)["acked"], mark)
        output.close()

    def check(self, folder: Path, marks: Sequence[str]) -> list[str]:
        output = self._make(folder)
        acked = facts(marks)["acked"]
        known = _opened(output)
        told = {client: known.get(client_id(client), 0) for client in CLIENTS}
        faults = [
            f"{client}: told that {told[client]} are stored, {acked[client]} are acknowledged"
            for client in CLIENTS
            if told[client] < acked[client]
        ]
        faults += self._compared(output, folder, told)
        self._go_on(output, known, acked, lambda text: None)
        faults += self._compared(output, folder, dict.fromkeys(CLIENTS, TOTAL))
        output.close()
        return faults

    def _compared(self, output: Output, folder: Path, lasts: Mapping[str, int]) -> list[str]:
        if isinstance(output, FileOutput):
            output.wait_idle()
        return compared(self._messages(folder), lasts, may_lack_oldest=self._may_lack_oldest)

    def _go_on(
        self, output: Output, known: Mapping[bytes, int], acked: Mapping[str, int], mark: Mark
    ) -> None:
        # What a client has an acknowledgement for it can't send again, whatever the marks say.
        lasts = {client: max(known.get(client_id(client), 0), acked[client]) for client in CLIENTS}
        dice = random.Random(str(lasts))
        with ThreadPoolExecutor(1) as syncer:
            syncing = None
            while min(lasts.values()) < TOTAL:
                batches = []
                for client, last in lasts.items():
                    if last < TOTAL and dice.random() < 0.8:
                        count = min(dice.randint(1, 9), TOTAL - last)
                        batch = numbered(last + 1, count, client_id(client))
                        lasts[client] = last + count
                        mark(f"sent {client} {lasts[client]}")
                        batches.append(batch)
                _persistently(partial(output.write, batches), batches)
                if syncing is not None:
                    syncing.result()
                syncing = syncer.submit(_sync, output, dict(lasts), mark)
            if syncing is not None:
                syncing.result()


def _sync(output: Output, lasts: Mapping[str, int], mark: Mark) -> None:
    _persistently(output.sync, [])
    for client, last in lasts.items():
        mark(f"acked {client} {last}")


def _opened(output: Output) -> Mapping[bytes, int]:
    """Open an output, in spite of a disk that refuses now and then."""
    for _ in range(100):
        with contextlib.suppress(OutputUnavailable):
            return output.open()
    raise AssertionError("an output that can't be opened")


def _persistently(call: Callable[[], None], batches: list[Any]) -> None:
    """Call again, as the worker does, with what was not taken."""
    for _ in range(100):
        try:
            call()
        except OutputUnavailable as exc:
            del batches[: exc.batches_done]
            if exc.rows_done:
                batches[0] = batches[0].part(exc.rows_done, len(batches[0]))
        else:
            return
    raise AssertionError("an output that fails 100 times in a row")


def files(pattern: str = "logs/app_%d.log", **settings: Any) -> OutputWorkload:
    """Text files, `lines` each."""
    count = settings.pop("count", None)
    lines = settings.pop("lines", 10)
    compaction = settings.pop("compact_bytes", 700)

    def make(folder: Path) -> Output:
        journal.COMPACT_BYTES = compaction
        return FileOutput(
            str(folder / pattern),
            make_settings(
                folder,
                rotation=RotationPolicy(lines=lines),
                retention=Retention(count=count),
                **settings,
            ),
        )

    def messages(folder: Path) -> list[str]:
        notes: list[str] = []
        source = FileSource(str(folder / pattern), notes.append)
        return [entry.msg for entry in source.entries()]

    return OutputWorkload(make, messages, may_lack_oldest=count is not None)


def tables(**settings: Any) -> OutputWorkload:
    """Tables of an SQLite database, `lines` each."""
    lines = settings.pop("lines", 20)

    def make(folder: Path) -> Output:
        rotation = RotationPolicy(lines=lines)
        return TableOutput(
            f"sqlite:///{folder}/db/log.db", make_settings(folder, rotation=rotation, **settings)
        )

    def messages(folder: Path) -> list[str]:
        return list(_table_messages(folder / "db" / "log.db"))

    return OutputWorkload(make, messages)


def _table_messages(path: Path) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        for name in sorted(
            (name for name in names if re.fullmatch(r"log_\d+", name)),
            key=lambda name: int(name.removeprefix("log_")),
        ):
            for (msg,) in connection.execute(f"SELECT msg FROM {name} ORDER BY id"):
                yield msg


class ClientSpoolWorkload:
    """The spool of an application: what survived the machine is sent by the next process.

    It is not synced, so nothing is promised but this: what is left can be taken up, each record of
    it is whole, and none comes twice.
    """

    def run(self, folder: Path, marks: Sequence[str], mark: Mark) -> None:
        if (folder / "spool").exists():
            # A process that finds no server to give it to.
            for spool in open_leftovers(folder / "spool"):
                list(LeftRecords(spool.folder, spool.acked, "damaged").runs())
                spool.close(remove=False)
            return
        # Writing into a map is no system call: here each is made one, to be recorded.
        with (
            mock.patch("logd_client.spool.MappedFile", _WrittenFile),
            mock.patch("logd_client.journalfile.MappedFile", _WrittenFile),
        ):
            spool = ClientSpool.create(folder / "spool", client_id("aaaa"))
            journal = RowJournal(lambda: spool.folder, 1 << 12, _raise)
            rows = NumberedRows()
            context = ClientContext((1, 2, "t", "I", (), 0, ""))
            for number in range(1, TOTAL + 1):
                mark(f"sent aaaa {number}")
                rows.append((context, number, 1.0, f"aaaa record {number} " * 40, ()))
                journal.write(rows)
                rows = NumberedRows(rows)
                if number % 15 == 0:
                    mark(f"acked aaaa {number - 5}")
                    spool.acknowledge(number - 5)
                    journal.release(number - 5)
            journal.close()
            spool.close(remove=False)

    def check(self, folder: Path, marks: Sequence[str]) -> list[str]:
        known = facts(marks)
        faults = []
        for spool in open_leftovers(folder / "spool"):
            runs = LeftRecords(spool.folder, spool.acked, "damaged").runs()
            entries = [entry for run in runs for entry in run]
            # Where numbers are missing, an entry tells the server so.
            rows = [row for entry in entries for row in rows_of_frame(entry.frame)]
            numbers = [row[1] for row in rows if row[1]]
            if numbers != sorted(set(numbers)):
                faults.append(f"not each once, in order: {spans_of(numbers)}")
            if numbers and numbers[-1] > known["sent"]["aaaa"]:
                faults.append(f"never sent: {numbers[-1]}")
            faults += [
                f"record {number} holds {text[:30]!r}"
                for _, number, _, text, _ in rows
                if number and text != f"aaaa record {number} " * 40
            ]
            spool.close(remove=True)
        return faults


class _WrittenFile:
    """In place of a map: each change is a write."""

    def __init__(self, number: int, size: int) -> None:
        self._number = os.dup(number)
        self._size = size
        self.bytes = self

    def __setitem__(self, part: slice, data: bytes) -> None:
        os.pwrite(self._number, data, part.start or 0)

    def close(self) -> None:
        os.close(self._number)


def _raise(exc: BaseException) -> None:
    raise exc


class QueueWorkload:
    """The queue on disk of an output: filled in groups, taken from, and taken up at a start."""

    def _queue(self, folder: Path) -> DiskQueue:
        return DiskQueue(folder / "state" / "queue-x", "x", limit_bytes=1 << 20)

    def run(self, folder: Path, marks: Sequence[str], mark: Mark) -> None:
        queue = self._queue(folder)
        told = queue.open()
        stored = {client: told.get(client_id(client), 0) for client in CLIENTS}
        dice = random.Random(len(marks))
        for _ in range(6):
            batches = [numbered(stored[one] + 1, 10, client_id(one)) for one in CLIENTS]
            for client in CLIENTS:
                stored[client] += 10
                mark(f"sent {client} {stored[client]}")
            queue.append(batches)
            for client in CLIENTS:
                mark(f"acked {client} {stored[client]}")
            if dice.random() < 0.3:
                # As after a failed sync: the next group begins a segment.
                queue.close()
                queue = self._queue(folder)
                queue.open()
        queue.close()

    def check(self, folder: Path, marks: Sequence[str]) -> list[str]:
        queue = self._queue(folder)
        told = queue.open()
        acked = facts(marks)["acked"]
        faults = []
        found: dict[str, list[int]] = defaultdict(list)
        for text in _queued(queue):
            match = MESSAGE.fullmatch(text)
            if match is None:
                faults.append(f"{text!r} is no record")
            else:
                found[match[1]].append(int(match[2]))
        for client in CLIENTS:
            last = told.get(client_id(client), 0)
            if last < acked[client]:
                faults.append(f"{client}: told {last} of {acked[client]} acknowledged")
            if found[client] != list(range(1, last + 1)):
                faults.append(f"{client}: told that {last} are stored, found {found[client]}")
        queue.append([numbered(1, 3, b"another session!")])
        if len(_queued(queue)) != 3:
            faults.append("what is added after a loss is not found")
        queue.close()
        return faults


def _queued(queue: DiskQueue) -> list[str]:
    """The texts of all that can be read."""
    found: list[str] = []
    while (portion := queue.read(1 << 20)) is not None:
        found += [text for batch in portion.batches for text in batch.msg]
    return found


def daemon(**settings: Any) -> WholeDaemon:
    """The whole daemon, see `whole.py`."""
    has_hands = settings.pop("has_hands", False)
    return WholeDaemon({"rotate_lines": 10, **settings}, has_hands=has_hands)


_KINDS: dict[str, Callable[..., Workload]] = {
    "daemon": daemon,
    "files": files,
    "tables": tables,
    "queue": QueueWorkload,
    "client spool": ClientSpoolWorkload,
}


WORKLOADS: dict[str, dict[str, Any]] = {
    "files": {"kind": "files"},
    "files by date, gzip": {"kind": "files", "naming": "date", "compress": "gzip"},
    "files, zstd": {"kind": "files", "compress": "zstd"},
    "one file": {"kind": "files", "pattern": "logs/app.log", "lines": None},
    "plain name": {"kind": "files", "pattern": "logs/app.log", "compress": "gzip"},
    "plain name, few files": {
        "kind": "files",
        "pattern": "logs/app.log",
        "naming": "date",
        "count": 6,
    },
    "ring": {"kind": "files", "count": 4, "compact_bytes": 1 << 20},
    "ring, gzip": {"kind": "files", "count": 4, "compress": "gzip"},
    "small ring": {"kind": "files", "count": 3, "lines": 3},
    "small ring, zstd": {"kind": "files", "count": 3, "lines": 3, "compress": "zstd"},
    "plain name, two files": {"kind": "files", "pattern": "logs/app.log", "count": 2, "lines": 3},
    "sqlite": {"kind": "tables"},
    "queue": {"kind": "queue"},
    "client spool": {"kind": "client spool"},
    "daemon, gzip": {"kind": "daemon", "rotate_count": 1000, "compress": "gzip"},
    "daemon, sqlite": {"kind": "daemon", "rotate_count": 1000, "db": "log.db"},
    "daemon, hands": {
        "kind": "daemon",
        "rotate_count": 1000,
        "compress": "gzip",
        "has_hands": True,
    },
}
"""What power is taken from, by name."""


def make_workload(wanted: Mapping[str, Any]) -> Workload:
    """A workload by `kind` and its settings."""
    return _KINDS[wanted["kind"]](**{key: wanted[key] for key in wanted if key != "kind"})

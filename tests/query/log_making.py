"""Logs for the tests of readers: written by the real outputs, a record at a time or in batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from logd.outputs.files.output import FileOutput
from logd.query.files.source import FileSource
from logd.query.selection import Selection
from logd.query.terms import Term
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps
from tests.outputs.output_making import make_settings

START = 1_790_000_400.0
"""A moment in the past, at the beginning of a minute; record n is n seconds later."""

PATH = (("/srv/shop/views.py", 42), ("/srv/shop/urls.py", 10))


def record(
    number: int,
    *,
    cat: str = "I",
    msg: str | None = None,
    pid: int = 4711,
    peer: str = "",
    special: Mapping[str, Any] | None = None,
    path: Any = PATH,
    time: float | None = None,
    timestamp: str | None = DEFAULT_FORMAT,
) -> Batch:
    """A batch of one record, "record NUMBER" unless told otherwise."""
    moment = START + number if time is None else time
    return Batch(
        [Context(pid, 9, "MainThread", cat, path, 7, "charge")],
        bytes(1),
        [number],
        [moment],
        [f"record {number}" if msg is None else msg],
        {0: special} if special else None,
        peer=peer,
        ts=Timestamps(timestamp).texts([moment]),
        formatter=ShortNames(),
    )


def records(first: int, last: int, **more: Any) -> list[Batch]:
    """Records first to last."""
    return [record(number, **more) for number in range(first, last + 1)]


@contextmanager
def log_files(pattern: Path, *, lines: int | None = None, **more: Any) -> Iterator[FileOutput]:
    """An open output to files; `lines` a file, `count` files."""
    settings = make_settings(
        pattern.parent,
        rotation=RotationPolicy(lines=lines),
        retention=Retention(count=more.pop("count", 10)),
        durable=False,
        **more,
    )
    output = FileOutput(str(pattern), settings)
    output.open()
    try:
        yield output
    finally:
        output.close()


def write_log(pattern: Path, batches: Sequence[Batch], **more: Any) -> None:
    """Write a log, wait for compression, close it."""
    with log_files(pattern, **more) as output:
        for batch in batches:
            output.write([batch])
        assert output.wait_idle(60)


def numbers(entries: Any) -> list[int]:
    """The message ids."""
    return [entry.msgid for entry in entries]


class Notes(list[str]):
    """Collects what readers are told."""

    def __call__(self, text: str) -> None:
        self.append(text)


def select(
    *,
    cats: Iterable[str] | None = None,
    pid: int | None = None,
    grep: str | re.Pattern[str] | None = None,
    where: Iterable[tuple[str, str]] = (),
    since: float | None = None,
    until: float | None = None,
) -> Selection:
    """A selection, its conditions in short."""
    terms = [Term("cat", "=", cat or "-") for cat in sorted(cats or ())]
    terms += [] if pid is None else [Term("pid", "=", str(pid))]
    if grep is not None:
        terms.append(Term("text", "~", grep if isinstance(grep, str) else grep.pattern))
    terms += [Term(key, "=", value) for key, value in where]
    return Selection(since=since, until=until, terms=tuple(terms))


def numbers_of(text: str) -> list[int]:
    """The message ids of the entries in lines of text."""
    lines = (line for line in text.split("\n") if line.startswith("20"))
    return [int(line.split(" ")[2].partition("#")[2]) for line in lines]


def source_of(folder: Path, **more: Any) -> FileSource:
    """The source of the files that tests write as `app_%d.log`."""
    return FileSource(str(folder / "app_%d.log"), more.pop("on_note", Notes()), **more)

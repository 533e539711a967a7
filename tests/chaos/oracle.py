"""Judges a log after the chaos: nothing missing, repeated, out of order, changed or torn."""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

_BODY = re.compile(r"(?P<body>sender (?P<sender>\d+) record (?P<number>\d+) .*)crc (?P<crc>\w{8})")
LINE = re.compile(r"\S+ \S \d+#\d+ (?P<msg>[^\t]*)(?:\t[^\t]*){5}")
_OWN = "output "
"""How the daemon's own records begin: an output was away, and works again."""

SHOWN = 5


@dataclass
class Verdict:
    """What the oracle saw.

    Attributes:
        records: good records of senders.
        missing, repeated, disordered, torn: how many of each.
        examples: what was wrong, for people; the first few.
        notes: what else was seen.
    """

    records: int = 0
    missing: int = 0
    repeated: int = 0
    disordered: int = 0
    torn: int = 0
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.missing or self.repeated or self.disordered or self.torn)

    def __str__(self) -> str:
        text = (
            f"{self.records:,} records: {self.missing} missing, {self.repeated} repeated, "
            f"{self.disordered} out of order, {self.torn} torn or changed"
        )
        return "\n    ".join(["; ".join([text, *self.notes]), *self.examples])

    def add(self, other: Verdict, note: str) -> None:
        """Add what was seen elsewhere."""
        for kind in ("records", "missing", "repeated", "disordered", "torn"):
            setattr(self, kind, getattr(self, kind) + getattr(other, kind))
        self.examples += other.examples
        self.notes.append(note)

    def fault(self, kind: str, text: str, count: int = 1) -> None:
        """Count a fault."""
        setattr(self, kind, getattr(self, kind) + count)
        if len(self.examples) < SHOWN:
            self.examples.append(f"{kind}: {text}")


def judge(
    messages: Iterable[str],
    sent: Mapping[int, int],
    keeps: Callable[[int], bool] = lambda _: True,
) -> Verdict:
    """Compare what a log holds with what was sent.

    Args:
        messages: the texts of all records, in the order of the log.
        sent: sender -> how many records it sent, numbered from 0.
        keeps: whether filters let the record of this number through, whoever sent it.
    """
    verdict = Verdict()
    expected = dict.fromkeys(sent, 0)
    skipped: dict[int, set[int]] = {sender: set() for sender in sent}
    for message in messages:
        match = _BODY.fullmatch(message)
        if match is None or zlib.crc32(match["body"].encode()) != int(match["crc"], 16):
            verdict.fault("torn", repr(message))
            continue
        sender, number = int(match["sender"]), int(match["number"])
        if not keeps(number):
            verdict.fault("torn", f"not dropped: {message}")
            continue
        verdict.records += 1
        if number == expected.get(sender):
            expected[sender] = number + 1
        elif number > expected[sender]:
            skipped[sender].update(filter(keeps, range(expected[sender], number)))
            expected[sender] = number + 1
        elif number in skipped[sender]:
            skipped[sender].discard(number)
            verdict.fault("disordered", message)
        else:
            verdict.fault("repeated", message)
    for sender, count in sent.items():
        missing = skipped[sender] | set(filter(keeps, range(expected[sender], count)))
        if missing:
            verdict.fault(
                "missing", f"sender {sender}: {sorted(missing)[:SHOWN]} of {count}", len(missing)
            )
    return verdict


def file_messages(folder: Path) -> Iterator[str]:
    """The senders' texts in the files of a ring that never came round, in order."""
    paths = sorted(folder.glob("chaos_*.log"), key=lambda path: int(path.stem.split("_")[1]))
    for path in paths:
        with path.open(encoding="utf-8", newline="\n") as lines:
            yield from line_messages(lines, path.name)


def line_messages(lines: Iterable[str], name: str) -> Iterator[str]:
    """The senders' texts in lines of the default layout, with their line ends."""
    for line in lines:
        match = LINE.fullmatch(line.removesuffix("\n"))
        if match is None or not line.endswith("\n"):
            yield f"torn line in {name}: {line!r}"
        elif not match["msg"].startswith(_OWN):
            yield match["msg"]


def sqlite_messages(path: Path) -> Iterator[str]:
    """The same for the tables of an SQLite database."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if re.fullmatch(r"chaos_\d+", name)
        ]
        for name in sorted(names, key=lambda name: int(name.split("_")[1])):
            for (msg,) in connection.execute(f"SELECT msg FROM {name} ORDER BY id"):
                if msg.startswith("sender "):
                    yield msg


def postgresql_messages(url: str, prefix: str) -> Iterator[str]:
    """The same for the tables `PREFIX_0`, ... of a PostgreSQL database (a psycopg URL)."""
    import psycopg

    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE tablename ~ %s", (rf"^{prefix}_\d+$",)
        ).fetchall()
        for name in sorted((row[0] for row in rows), key=lambda name: int(name.rsplit("_", 1)[1])):
            with connection.cursor(name="messages") as cursor:
                cursor.itersize = 20_000
                for (msg,) in cursor.execute(f"SELECT msg FROM {name} ORDER BY id".encode()):
                    if msg.startswith("sender "):
                        yield msg

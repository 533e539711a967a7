"""Batches and settings as the tests of outputs need them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from logd.outputs.base import OutputSettings
from logd.outputs.files import zstd
from logd.outputs.files.age import Age, KnownFiles, oldest_first
from logd.outputs.files.journalentries import Entry, Gap, decode_entries
from logd.outputs.files.names import parse_pattern, plain_name
from logd.records.batch import Batch
from logd.records.context import Context
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.lines import LineFormat

CONTEXT = Context(4711, 1, "MainThread", "E", (("/srv/app/views.py", 42),), 7, "charge")
CLIENT = b"0123456789abcdef"


class DeadLetterList(list[tuple[str, str]]):
    """Keeps the texts of refused records in memory."""

    def put(self, batch: Batch, row: int, reason: str, output: str) -> None:
        self.append((batch.msg[row], reason))


def make_batch(
    texts: Sequence[str], *, client: bytes | None = CLIENT, first: int = 1, **more: Any
) -> Batch:
    """One batch of these messages."""
    count = len(texts)
    return Batch(
        (CONTEXT,),
        bytes(count),
        range(first, first + count),
        [1_790_000_000.0] * count,
        list(texts),
        client=client,
        first=first if client else 0,
        **more,
    )


def numbered(first: int, count: int, client: bytes | None = CLIENT) -> Batch:
    """Messages that are their own sequence numbers: "record 1 of 30"."""
    name = (client or b"none")[:4].decode()
    return make_batch(
        [f"{name} record {number}" for number in range(first, first + count)],
        client=client,
        first=first,
    )


def make_settings(folder: Path, **changes: Any) -> OutputSettings:
    """Settings for a test, in its own folder."""
    values: dict[str, Any] = {
        "rotation": RotationPolicy(),
        "retention": Retention(),
        "line_format": LineFormat(),
        "durable": True,
        "state_dir": folder,
        "dead_letters": DeadLetterList(),
    }
    return OutputSettings(**{**values, **changes})


class Clock:
    """A clock that the test moves."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def read_file(path: Path) -> bytes:
    """The content of a log file, compressed or not."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return zstd.decompress(path.read_bytes())
    return path.read_bytes()


def log_files(folder: Path, pattern: str = "app_%d.log") -> list[Path]:
    """The files of a ring, oldest first, the current one last; of a file's two forms the plain."""
    _, names = parse_pattern(
        str(folder / pattern), naming="ring", count=None, rotates=True, utc=True
    )
    found = {path.name: Age(path.stat().st_mtime_ns) for path in folder.iterdir()}
    known = KnownFiles.of_journal(read_entries(folder, pattern)).names
    order = oldest_first(found, known, names, found.__getitem__)
    return [
        folder / name for name in order if plain_name(name) == name or plain_name(name) not in found
    ]


def read_entries(folder: Path, pattern: str = "app_%d.log") -> list[Entry | Gap]:
    """The journal of a log."""
    return list(decode_entries((folder / f".{pattern}.journal").read_bytes()))


def entries_of(paths: Sequence[Path]) -> list[str]:
    """The messages in files of the default layout; fails on a line without an end."""
    found = []
    for path in paths:
        data = read_file(path)
        assert data.endswith(b"\n") or not data, path
        found += [
            line.split("\t")[0].split(" ", 2)[2]
            for line in data.decode().splitlines()
            if not line.startswith("  | ")
        ]
    return found

"""Queues on disk for tests, closed at their end; see `conftest.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from logd.outputs.batchbytes import encode_batch
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.queuefolder import QueueFolder
from logd.records.batch import Batch

COLUMNS = ("index", "msgid", "time", "msg", "ts", "sequence")


def columns(batch: Batch) -> dict[str, Any]:
    """All of a batch that is to survive."""
    found: dict[str, Any] = {
        name: None if getattr(batch, name) is None else list(getattr(batch, name))
        for name in COLUMNS
    }
    found["contexts"] = list(batch.contexts)
    found["special"] = {row: dict(items) for row, items in batch.special.items()}
    found |= {name: getattr(batch, name) for name in ("peer", "client", "first", "floor", "last")}
    return found


_made: list[DiskQueue] = []


def close_all() -> None:
    """Close what was made; no test leaves a file open."""
    while _made:
        _made.pop().close()


class Bench:
    """A queue in a folder, opened, with what it told of damage."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.told: list[str] = []
        options = {"limit_bytes": 1 << 24, "on_damage": self.told.append, **options}
        self.queue = DiskQueue(folder / "queue-x.1", "x", **options)
        _made.append(self.queue)
        self.marks = self.queue.open()

    def rest(self, at_most_bytes: int = 1 << 20) -> list[Batch]:
        """All that can be read."""
        found: list[Batch] = []
        while (portion := self.queue.read(at_most_bytes)) is not None:
            found += portion.batches
        return found

    def lasts(self) -> list[int]:
        """The last number of each batch that can be read."""
        return [batch.last for batch in self.rest()]

    @property
    def files(self) -> list[Path]:
        """The segments on disk."""
        return QueueFolder(self.queue.path).segments()


def fill(folder: Path, *batches: Batch, closes: bool = True, **options: Any) -> Path:
    """Keep batches, each in a group of its own; returns the last segment."""
    bench = Bench(folder, **options)
    for batch in batches:
        bench.queue.append([batch])
    if closes:
        bench.queue.close()
    else:
        # As a process that dies does.
        bench.queue._folder.unlock()
    return bench.files[-1]


def spoil(path: Path, offset: int) -> None:
    """Flip a bit."""
    with path.open("rb+") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def of_version_1(batch: Batch) -> bytes:
    """A batch as version 1 wrote it: with 12 columns."""
    return msgspec.msgpack.encode(msgspec.msgpack.decode(encode_batch(batch))[:12])

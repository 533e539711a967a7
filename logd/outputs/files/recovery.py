"""What a journal says about the log beside it after a stop, in order or not. Pure.

A process that dies loses nothing that it gave to the system: every block but the last of the
journal is whole. A machine that dies may lose, of what was not synced, anything: the end of the
journal, blocks in the middle, a name in the folder. So blocks are checked, in their order, that
can be wrong by what the journal says, and the first that is wrong ends what counts: its bytes and
all after it are to be cut off, and the marks they carry are not believed. What must be checked is
what was not synced; it does not grow with the size of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from logd.outputs.files.journal import Append, Entry, Forgotten, Opened, Rotating, Snapshot, Stopped
from logd.outputs.marks import Marks

CHECK_BYTES = 256 << 20
"""Without syncs, so much is checked after the machine died: the system writes in 30 s."""


@dataclass(frozen=True)
class Cut:
    """A file to be cut off.

    Attributes:
        file: the file as the journal knows it.
        size: the bytes that remain.
    """

    file: Opened
    size: int


class Unsynced(NamedTuple):
    """A file that may not be on disk from `start` on."""

    file: Opened
    start: int


class Replaced(NamedTuple):
    """A name that a file was begun under, and the files that had it: inode, last write (ns)."""

    name: str
    files: list[tuple[int, int]]


@dataclass
class Recovered:
    """What is true of the log once `cuts` were made.

    Attributes:
        marks: the marks that count.
        number: number of the last block.
        current: the current file; `size` and `lines` are what they are after the cuts.
        rotating: a rotation that was begun and not finished.
        replaced: what was to go for the files that were begun; it is gone unless a rename was lost.
        cuts: files to be cut off, in the order they were written.
        unsynced: what counts and may not be on disk yet.
        is_clean: the log was closed in order.
        is_same_boot: the machine has run since: bytes that the journal does not know are not ours.
    """

    marks: Marks
    number: int
    current: Opened | None
    rotating: Rotating | None = None
    replaced: list[Replaced] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    unsynced: list[Unsynced] = field(default_factory=list)
    is_clean: bool = False
    is_same_boot: bool = False


_Step = tuple[Opened, Append]


def recover(
    entries: Sequence[Entry], boot: str, holds: Callable[[Opened, Append], bool]
) -> Recovered:
    """Find out what of a log counts.

    Args:
        entries: a journal; the first is a `Snapshot`.
        boot: which run of the machine this is, "" where that is unknown.
        holds: tells whether a block is in its file, whole and with the right checksum.
    """
    snapshot = entries[0]
    if not isinstance(snapshot, Snapshot):
        raise AssertionError(f"a journal begins with a snapshot, got {snapshot!r}")
    is_clean = isinstance(entries[-1], Stopped)
    is_same_boot = bool(boot) and boot == snapshot.boot
    steps, gone, rotating = _steps(entries, snapshot.current)
    current = snapshot.current
    for entry in entries:
        current = entry if isinstance(entry, Opened) else current
    unsynced = range(0) if is_clean else _unsynced(steps, snapshot)
    doubtful = unsynced
    if is_same_boot:
        doubtful = unsynced[-1:] if isinstance(entries[-1], Append) else range(0)
    good = next((at for at in doubtful if at not in gone and not holds(*steps[at])), len(steps))
    return Recovered(
        marks=_marks(entries, snapshot, {step.number for _, step in steps[good:]}),
        number=steps[-1][1].number if steps else snapshot.number,
        current=None if current is None else _state(current, steps[:good]),
        rotating=rotating,
        replaced=_replaced(entries),
        cuts=_cuts(steps[good:]),
        unsynced=_starts(steps[at] for at in unsynced if at < good),
        is_clean=is_clean,
        is_same_boot=is_same_boot,
    )


def _steps(
    entries: Sequence[Entry], current: Opened | None
) -> tuple[list[_Step], set[int], Rotating | None]:
    """Blocks with their files, which of them were overwritten since, an unfinished rotation."""
    steps: list[_Step] = []
    of_inode: dict[int, list[int]] = {}
    gone: set[int] = set()
    rotating = None
    for entry in entries:
        match entry:
            case Opened():
                current, rotating = entry, None
            case Rotating():
                rotating = entry
                gone.update(of_inode.pop(entry.old_inode, ()))
            case Append() if current is not None:
                rotating = None
                of_inode.setdefault(current.inode, []).append(len(steps))
                steps.append((current, entry))
    return steps, gone, rotating


def _replaced(entries: Sequence[Entry]) -> list[Replaced]:
    found: dict[str, Replaced] = {}
    for entry in entries:
        match entry:
            case Rotating():
                found[entry.name] = Replaced(entry.name, entry.old_files)
            case Opened(name=name, inode=inode) if name in found:
                # Numbers of inodes come again.
                files = [file for file in found[name].files if file[0] != inode]
                found[name] = Replaced(name, files)
    return list(found.values())


def _unsynced(steps: Sequence[_Step], snapshot: Snapshot) -> range:
    if not snapshot.durable:
        return _last_bytes(steps, CHECK_BYTES)
    synced = max((step.synced for _, step in steps), default=snapshot.number)
    first = next((at for at, (_, step) in enumerate(steps) if step.number > synced), len(steps))
    return range(first, len(steps))


def _last_bytes(steps: Sequence[_Step], size: int) -> range:
    first = len(steps)
    while first > 0 and size > 0:
        first -= 1
        size -= steps[first][1].length
    return range(first, len(steps))


def _marks(entries: Sequence[Entry], snapshot: Snapshot, bad: set[int]) -> Marks:
    marks = Marks(snapshot.marks)
    for entry in entries:
        match entry:
            case Append() if entry.number not in bad:
                for client, last in entry.marks.items():
                    marks.note(client, last, entry.time)
            case Forgotten():
                marks.forget(entry.clients)
    return marks


def _state(current: Opened, good: Sequence[_Step]) -> Opened:
    """`current` with the size and the lines that the good blocks in it make."""
    own = [step for file, step in good if file is current]
    if not own:
        return current
    return msgspec.structs.replace(
        current,
        size=own[-1].offset + own[-1].length,
        lines=current.lines + sum(step.entries for step in own),
        started=current.started or own[0].time,
    )


def _cuts(bad: Sequence[_Step]) -> list[Cut]:
    cuts: list[Cut] = []
    for file, step in bad:
        if not cuts or cuts[-1].file is not file:
            cuts.append(Cut(file, step.offset))
    return cuts


def _starts(steps: Iterable[_Step]) -> list[Unsynced]:
    found: list[Unsynced] = []
    for file, step in steps:
        if not found or found[-1].file is not file:
            found.append(Unsynced(file, step.offset))
    return found

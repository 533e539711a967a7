"""What a journal says about the log beside it after a stop, in order or not. Pure.

A process that dies loses nothing that it gave to the system: every block but the last of the
journal is whole. A machine that dies may lose, of what was not synced, anything: the end of the
journal, blocks in the middle, a name in the folder. So all blocks that were perhaps not synced, as
the journal says, are checked in their order. The first wrong one ends what counts: it and all after
it are cut off, and the marks they carry are not believed. What was not synced is little, however
large the log is.

Behind a gap in the journal nobody knows which file is written to, unless the next block stands in
the one before. Blocks of which the file is unknown are left as they are: nothing is cut for them.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from logd.outputs.files.journalentries import (
    Append,
    Entry,
    Forgotten,
    Gap,
    Opened,
    Rotating,
    Snapshot,
    Stopped,
    synced_by,
)
from logd.outputs.marks import Marks

CHECK_BYTES = 256 << 20
"""Without syncs, this much is checked after the machine died: the system writes in 30 s."""


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


@dataclass
class Replaced:
    """A name that a file was begun under.

    Attributes:
        name: the name.
        inodes: of what had it before, compressed or not, as far as the journal tells.
        file: the new file; None if the journal lost its note, or perhaps that of its first block.
        first: the first block in it.
    """

    name: str
    inodes: set[int]
    file: Opened | None = None
    first: Append | None = None


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
        lost_bytes: how much of the journal is damaged.
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
    lost_bytes: int = 0
    is_clean: bool = False
    is_same_boot: bool = False


_Step = tuple[Opened, Append]


def recover(
    entries: Sequence[Entry | Gap],
    boot: str,
    holds: Callable[[Opened, Append], bool],
    inode_of: Callable[[str], int],
) -> Recovered:
    """Find out what of a log counts.

    Args:
        entries: a journal; the first is a `Snapshot`.
        boot: which run of the machine this is, "" if that is unknown.
        holds: tells whether a block is in its file, whole and with the right checksum.
        inode_of: tells which file has a name, 0 if none has.
    """
    snapshot = entries[0]
    if not isinstance(snapshot, Snapshot):
        raise AssertionError(f"a journal begins with a snapshot, got {snapshot!r}")
    is_clean = isinstance(entries[-1], Stopped)
    is_same_boot = bool(boot) and boot == snapshot.boot
    story = _Story(snapshot.current, holds)
    for entry in entries:
        story.go_on(entry)
    steps = story.steps
    unsynced = range(0) if is_clean else _unsynced(steps, entries, snapshot)
    doubtful = unsynced
    if is_same_boot:
        doubtful = unsynced[-1:] if isinstance(entries[-1], Append) else range(0)
    gone = story.gone | _overwritten(story, inode_of)
    good = next((at for at in doubtful if at not in gone and not holds(*steps[at])), len(steps))
    bad = {step.number for _, step in steps[good:]}
    if not (is_clean or is_same_boot):
        bad |= {step.number for step in story.strays if step.number > _synced(entries, snapshot)}
    current = story.current
    return Recovered(
        marks=_marks(entries, snapshot, bad),
        number=max((e.number for e in entries if isinstance(e, Append)), default=snapshot.number),
        current=None if current is None else _state(current, steps[:good]),
        rotating=story.rotating,
        replaced=_replaced(entries, _synced(entries, snapshot)),
        cuts=_cuts(steps[good:]),
        unsynced=_starts(steps[at] for at in unsynced if at < good),
        lost_bytes=sum(entry.size for entry in entries if isinstance(entry, Gap)),
        is_clean=is_clean,
        is_same_boot=is_same_boot,
    )


class _Story:
    """What a journal tells, entry by entry.

    Attributes:
        current: the file that is written to; None before the first and if it is unknown.
        steps: blocks with their files.
        strays: blocks whose file is unknown.
        gone: which of the steps were overwritten since.
        rotating: a rotation that is not finished.
    """

    def __init__(self, current: Opened | None, holds: Callable[[Opened, Append], bool]) -> None:
        self.current = current
        self.steps: list[_Step] = []
        self.strays: list[Append] = []
        self.gone: set[int] = set()
        self.rotating: Rotating | None = None
        self._holds = holds
        self._is_doubtful = False
        self._of_inode: dict[int, list[int]] = {}

    def go_on(self, entry: Entry | Gap) -> None:
        """Take the next entry."""
        match entry:
            case Gap():
                self._is_doubtful = True
            case Opened():
                if entry.before:
                    self._rename(entry.before)
                self.current, self.rotating, self._is_doubtful = entry, None, False
            case Rotating():
                self.rotating = entry
                self.gone.update(self._of_inode.pop(entry.old_inode, ()))
            case Append():
                self.rotating = None
                self._append(entry)

    def _rename(self, name: str) -> None:
        """The current file has another name by now; its blocks are the last."""
        if self.current is None:
            return
        old, new = self.current, msgspec.structs.replace(self.current, name=name)
        at = len(self.steps)
        while at and self.steps[at - 1][0] is old:
            at -= 1
            self.steps[at] = (new, self.steps[at][1])

    def _append(self, block: Append) -> None:
        if self._is_doubtful:
            if self.current is not None and not self._holds(self.current, block):
                self.current = None
            self._is_doubtful = False
        if self.current is None:
            self.strays.append(block)
            return
        self._of_inode.setdefault(self.current.inode, []).append(len(self.steps))
        self.steps.append((self.current, block))


def _replaced(entries: Sequence[Entry | Gap], synced: int) -> list[Replaced]:
    found: dict[str, Replaced] = {}
    earlier: defaultdict[str, set[int]] = defaultdict(set)
    current = ""
    for entry in entries:
        match entry:
            case Rotating():
                inodes = {old if isinstance(old, int) else old[0] for old in entry.old_files}
                if entry.name in found and found[entry.name].file is None:
                    # A second try: the first one had made way already.
                    inodes |= found[entry.name].inodes
                # The removal of an original that was compressed may be lost, too.
                found[entry.name] = Replaced(entry.name, inodes | earlier[entry.name])
            case Opened():
                current = entry.name
                earlier[current].add(entry.inode)
                if current in found:
                    # Inodes come again.
                    found[current].inodes.discard(entry.inode)
                    found[current].file = entry
            case Append() if entry.number <= synced:
                # Names are synced with blocks: what is there since may have any inode.
                found.pop(current, None)
            case Append() if current in found:
                found[current].first = found[current].first or entry
            case Gap():
                if current in found and found[current].first is None:
                    # Its first block may stand in what can't be read.
                    found[current].file = None
                current = ""
    return list(found.values())


def _overwritten(story: _Story, inode_of: Callable[[str], int]) -> set[int]:
    """Blocks that a rotation may have overwritten of which the journal lost its note.

    They are the oldest of the ring, and not missed: what came after them counts. The disk may have
    the new file's name and not the old one's, so that they are nowhere.
    """
    current = story.current
    if current is None or inode_of(current.next_name) == current.next_inode:
        return set()
    old = (current.next_name, current.next_inode)
    return {at for at, (file, _) in enumerate(story.steps) if (file.name, file.inode) == old}


def _unsynced(steps: Sequence[_Step], entries: Sequence[Entry | Gap], snapshot: Snapshot) -> range:
    if not snapshot.durable:
        return _last_bytes(steps, CHECK_BYTES)
    synced = _synced(entries, snapshot)
    first = next((at for at, (_, step) in enumerate(steps) if step.number > synced), len(steps))
    return range(first, len(steps))


def _synced(entries: Sequence[Entry | Gap], snapshot: Snapshot) -> int:
    """Number of the last block that is on disk for certain."""
    return max(snapshot.number, *map(synced_by, entries))


def _last_bytes(steps: Sequence[_Step], size: int) -> range:
    first = len(steps)
    while first > 0 and size > 0:
        first -= 1
        size -= steps[first][1].length
    return range(first, len(steps))


def _marks(entries: Sequence[Entry | Gap], snapshot: Snapshot, bad: set[int]) -> Marks:
    # How many of them are kept is up to the code that takes the log up.
    marks = Marks(snapshot.marks, limit=sys.maxsize)
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
        started=current.started or next((step.time for step in own if step.entries), 0.0),
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

"""What a disk holds after power was lost: see the package's text for the rules."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.chaos.powerloss.trace import Operation

Order = Literal["ext4", "posix"]

SECTOR = 512


@dataclass
class Write:
    """A write (`data`) or a cut (None) at `offset`, the `at`-th operation of the trace.

    An empty write gives the file its `time`.
    """

    at: int
    offset: int
    data: bytes | None
    time: int
    is_durable: bool = False
    is_given_up: bool = False


@dataclass(eq=False)
class File:
    """A file with all that was ever done to it.

    Attributes:
        needs: what must be on disk if it is: that its number was free.
    """

    inode: int
    made: int
    writes: list[Write] = field(default_factory=list)
    needs: tuple[Change, ...] = ()


@dataclass
class Change:
    """A change of names: `gone` leaves its folder, `there` gets `node`; one step on disk.

    Attributes:
        at: number of the operation.
        gone: a name that goes.
        there: a name that comes; what had it before loses it.
        node: what gets the name.
        losers: what loses one.
        needs: what must be on disk if this is.
        is_durable: whether it is on disk for certain.
    """

    at: int
    gone: tuple[Folder, str] | None
    there: tuple[Folder, str] | None
    node: File | Folder | None
    losers: tuple[File | Folder, ...] = ()
    needs: tuple[Change, ...] = ()
    is_durable: bool = False


@dataclass(eq=False)
class Folder:
    """A folder."""

    inode: int


@dataclass
class Kept:
    """A file as it is on disk; a folder has no `data`."""

    inode: int
    data: bytes | None = None
    time: int = 0


State = dict[str, Kept]
"""Path below the folder -> what is there; what contains comes before what it contains."""


class Disk:
    """What was done up to a moment, and what of it is certain.

    Args:
        operations: a trace up to the moment.
        root: inode of the folder that was watched.
        order: how much order the file system keeps.
    """

    def __init__(self, operations: Sequence[Operation], root: int, order: Order) -> None:
        self._order = order
        self._root = Folder(root)
        self._nodes: dict[int, File | Folder] = {root: self._root}
        self._names: dict[tuple[Folder, str], File | Folder] = {}
        self._files: list[File] = []
        self._changes: list[Change] = []
        self._begun: dict[int, int] = {}
        self.marks: list[str] = []
        for at, operation in enumerate(operations):
            self._do(at, operation)

    def _do(self, at: int, operation: Operation) -> None:
        match operation.kind:
            case "M":
                self.marks.append(operation.name)
            case "C" | "D" | "L" | "U" | "R":
                self._change(at, operation)
            case "W" | "T" | "A":
                data = None if operation.kind == "T" else operation.data
                file = self._file(operation.inode, operation.time)
                file.writes.append(Write(at, operation.offset, data, operation.time))
            case "B":
                self._begun[operation.offset] = at
            case "E":
                node = self._nodes.get(operation.inode)
                self._sync(self._begun[operation.offset], node, failed=bool(operation.error))

    def _file(self, inode: int, moment: int) -> File:
        node = self._nodes.get(inode)
        if not isinstance(node, File):
            # Made by `mkstemp` and the like, whose names are outside.
            node = self._nodes[inode] = File(inode, moment)
            self._files.append(node)
        return node

    def _folder(self, inode: int) -> Folder | None:
        node = self._nodes.get(inode)
        return node if isinstance(node, Folder) else None

    def _change(self, at: int, operation: Operation) -> None:
        folder, name = self._folder(operation.folder), operation.name
        gone = there = node = None
        needs: list[Change] = []
        if operation.kind == "C":
            # No file system gives a new file a number that another has on disk.
            old = self._nodes.get(operation.inode)
            needs = [change for change in self._changes if old in change.losers]
            node = self._nodes[operation.inode] = File(operation.inode, operation.time)
            node.needs = tuple(needs)
            self._files.append(node)
        elif operation.kind == "D":
            node = self._nodes[operation.inode] = Folder(operation.inode)
        elif operation.kind in "LR":
            node = self._nodes.get(operation.inode)
            # Under another name, too: its first one may be the one that is lost.
            needs = list(node.needs) if isinstance(node, File) else []
        if operation.kind in "UR" and folder is not None:
            gone = (folder, name)
        if operation.kind in "CDL" and folder is not None:
            there = (folder, name)
        if operation.kind == "R" and (other := self._folder(operation.other)) is not None:
            there = (other, operation.target)
        losers = [self._names.pop(place, None) for place in (gone, there) if place is not None]
        if there is not None and node is not None:
            self._names[there] = node
        self._changes.append(
            Change(at, gone, there, node, tuple(filter(None, losers)), tuple(needs))
        )

    def _sync(self, begun: int, node: File | Folder | None, *, failed: bool) -> None:
        if isinstance(node, File):
            for write in node.writes:
                if write.at < begun and not write.is_durable:
                    if failed:
                        write.is_given_up = True
                    elif not write.is_given_up:
                        write.is_durable = True
        if failed:
            return
        for change in self._changes:
            folder = (change.there or change.gone or (None,))[0]
            if change.at < begun and (self._order == "ext4" or folder is node):
                change.is_durable = True

    # -- what is left -------------------------------------------------------------------------

    def left(self, dice: random.Random) -> State:
        """One of the states that the disk may be in."""
        names: dict[tuple[int, str], File | Folder] = {}
        for change in self._surviving(dice):
            if change.gone is not None:
                names.pop((change.gone[0].inode, change.gone[1]), None)
            if change.there is not None and change.node is not None:
                names[change.there[0].inode, change.there[1]] = change.node
        habit = dice.choice((0.0, 0.5, 1.0, dice.random()))
        kept: dict[int, Kept] = {}
        found: State = {}
        for path, node in self._walk(names, self._root, ""):
            if isinstance(node, File):
                if id(node) not in kept:
                    kept[id(node)] = self._content(node, habit, dice)
                found[path] = kept[id(node)]
            else:
                found[path] = Kept(node.inode)
        return found

    def _walk(
        self, names: dict[tuple[int, str], File | Folder], folder: Folder, before: str
    ) -> Iterator[tuple[str, File | Folder]]:
        for (inode, name), node in sorted(names.items(), key=lambda item: item[0]):
            if inode == folder.inode:
                yield before + name, node
                if isinstance(node, Folder):
                    yield from self._walk(names, node, f"{before}{name}/")

    def _surviving(self, dice: random.Random) -> list[Change]:
        if self._order == "ext4":
            first = next(
                (at for at, change in enumerate(self._changes) if not change.is_durable),
                len(self._changes),
            )
            return self._changes[: dice.randint(first, len(self._changes))]
        chance = dice.choice((0.0, 0.5, 1.0, dice.random()))
        chosen: set[int] = set()
        for change in reversed(self._changes):
            if change.at in chosen or change.is_durable or dice.random() < chance:
                chosen |= {change.at, *(needed.at for needed in change.needs)}
        return [change for change in self._changes if change.at in chosen]

    def _content(self, file: File, habit: float, dice: random.Random) -> Kept:
        unsynced = [write for write in file.writes if not write.is_durable]
        chosen: dict[int, list[Part]] = {}
        if self._order == "ext4":
            whole = round(len(unsynced) * min(1.0, habit + dice.random() * 0.2))
            chosen = {write.at: _whole(write) for write in unsynced[:whole]}
            if whole < len(unsynced) and dice.random() < 0.5:
                chosen[unsynced[whole].at] = _torn(unsynced[whole], dice)
        else:
            for write in unsynced:
                if dice.random() < habit:
                    is_torn = dice.random() < 0.2
                    chosen[write.at] = _torn(write, dice) if is_torn else _whole(write)
        data, moment = bytearray(), file.made
        for write in file.writes:
            parts = _whole(write) if write.is_durable else chosen.get(write.at)
            if parts is None:
                continue
            moment = write.time
            if write.data is None:
                del data[write.offset :]
                data.extend(bytes(write.offset - len(data)))
            for offset, part in parts:
                data.extend(bytes(max(0, offset - len(data))))
                data[offset : offset + len(part)] = part
        return Kept(file.inode, bytes(data), moment)


Part = tuple[int, bytes]
"""A piece of a write: where it begins, and its bytes. One without bytes makes the file as long."""


def _whole(write: Write) -> list[Part]:
    return [] if write.data is None else [(write.offset, write.data)]


def _torn(write: Write, dice: random.Random) -> list[Part]:
    """The beginning of a write up to the end of a sector, or all but some sectors of it."""
    if not write.data:
        return _whole(write)
    start, stop = write.offset, write.offset + len(write.data)
    ends = range(start - start % SECTOR + SECTOR, stop, SECTOR)
    if not ends:
        # All in one sector: only the file's new size may be on disk.
        return [(stop, b"")] if dice.random() < 0.5 else []
    cut = dice.choice(ends)
    parts = [(start, write.data[: cut - start])]
    if dice.random() < 0.5:
        resumed = min(stop, cut + SECTOR * dice.randint(1, 4))
        parts.append((resumed, write.data[resumed - start :]))
    return parts


def put(state: State, folder: Path, root: int) -> dict[int, int]:
    """Write a state to an empty folder.

    Returns:
        New inode -> the one that programs are to see.
    """
    inodes = {folder.stat().st_ino: root}
    first: dict[int, Path] = {}
    for name, kept in state.items():
        path = folder / name
        if kept.data is None:
            path.mkdir()
            inodes[path.stat().st_ino] = kept.inode
        elif kept.inode in first:
            os.link(first[kept.inode], path)
        else:
            first[kept.inode] = path
            path.write_bytes(kept.data)
            os.utime(path, ns=(kept.time, kept.time))
            inodes[path.stat().st_ino] = kept.inode
    return inodes


def as_operations(state: State, root: int) -> list[Operation]:
    """A trace that makes a state, all of it synced."""
    found: list[Operation] = []
    folders = {"": root}
    made: set[int] = set()
    for name, kept in state.items():
        above, _, base = name.rpartition("/")
        kind = "L" if kept.inode in made else "D" if kept.data is None else "C"
        made.add(kept.inode)
        place = folders[above]
        found.append(Operation(kind, kept.time, folder=place, inode=kept.inode, name=base))
        if kind == "D":
            folders[name] = kept.inode
        elif kind == "C":
            found.append(Operation("W", kept.time, inode=kept.inode, data=kept.data or b""))
    for token, inode in enumerate((*made, root)):
        found.append(Operation("B", 0, inode=inode, offset=token))
        found.append(Operation("E", 0, inode=inode, offset=token))
    return found

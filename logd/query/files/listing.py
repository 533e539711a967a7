"""The text files of one log, oldest first, as they are at one moment.

The daemon may rotate, compress and remove files at any time. A listing is therefore taken until
two looks in a row agree, and a file is opened by its name and recognised by its inode, or, where
it was compressed meanwhile, by the time that compression leaves as it was.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from logd.outputs.base import OutputUnusable
from logd.outputs.files.age import KnownFiles, oldest_first
from logd.outputs.files.journalentries import Opened, Snapshot, read_journal
from logd.outputs.files.names import (
    COMPRESSED_SUFFIXES,
    MovedNames,
    Names,
    PlainNames,
    RingNames,
    parse_pattern,
    plain_name,
)
from logd.query.positions import CannotRead

_MAX_LOOKS = 20
# A .gz ends with the size of what it holds.
_GZIP_END = 4


@dataclass(frozen=True)
class FileRef:
    """One file.

    Attributes:
        path: where it is, compressed or not.
        inode: of the file that was there.
        size: its bytes on disk.
        mtime_ns: when it was last written to; compression leaves that.
        is_renamed: whether it gets another name when it is closed.
        ordinal: the how many-th file of the log it is, from 1 on; 0: unknown.
    """

    path: Path
    inode: int
    size: int
    mtime_ns: int
    is_renamed: bool = False
    ordinal: int = 0

    @property
    def plain_path(self) -> str:
        """The path of its original."""
        return str(self.path.with_name(plain_name(self.path.name)))

    @property
    def suffix(self) -> str:
        """What compression has added to its name: ".gz", ".zst", ... or nothing."""
        return self.path.suffix if self.path.suffix in COMPRESSED_SUFFIXES else ""


def real_path(path: Path) -> Path:
    """The one path that leads to a file or folder without symbolic links and "..".

    The daemon may have been told another way to the same folder.
    """
    return Path(os.path.realpath(path))


class RingFiles:
    """The files of one pattern.

    Args:
        pattern: as in the settings, see `logd.outputs.files.names`.
        count: size of the ring; None: unknown.

    Raises:
        CannotRead: the pattern can't be used.
    """

    def __init__(self, pattern: str, *, count: int | None = None) -> None:
        # A copied archive is named as it lies there: app_3.log.zst is what became of app_3.log.
        self.pattern = pattern if "%" in pattern else plain_name(pattern)
        self._count = count
        try:
            self._folder, self._names = self._parse("ring")
        except OutputUnusable as exc:
            # Only dates spell %Y in a pattern.
            if "%Y" not in pattern:
                raise CannotRead(str(exc)) from exc
            self._folder, self._names = self._parse("date")

    def _parse(self, naming: Literal["ring", "date"]) -> tuple[Path, Names]:
        folder, names = parse_pattern(
            self.pattern, naming=naming, count=self._count, rotates=True, utc=False
        )
        if not names.current_name:
            names.kin = (*names.kin, MovedNames(names))
        return real_path(folder), names

    @property
    def are_renamed(self) -> bool:
        """Whether a file gets another name when it is closed."""
        return bool(self._names.current_name)

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._folder

    def has(self, path: str) -> bool:
        """Whether a path (a real one) is one of this log's, be there such a file or not."""
        file = Path(path)
        return file.parent == self._folder and self._names.matches(file.name)

    def is_moved(self, name: str) -> bool:
        """Whether logrotate gave a file its plain name, of which the journal knows nothing."""
        return isinstance(self._names.kind_of(name), MovedNames)

    def closed_path(self, refs: Sequence[FileRef]) -> Path:
        """Where the current file of a plain name will be once it is closed, if by number.

        Args:
            refs: the files there are.
        """
        if not isinstance(self._names, PlainNames):
            raise AssertionError("files with names of their own are not renamed")
        name = self._names.closed_name([Path(ref.plain_path).name for ref in refs], 0.0)
        return self._folder / name

    def is_next(self, last: FileRef, overwritten_ns: int, first: FileRef) -> bool:
        """Whether a file may be the one that was begun after another, which was overwritten.

        Args:
            last: the file that was overwritten.
            overwritten_ns: when it was.
            first: the oldest file that there is.
        """
        if last.ordinal and first.ordinal:
            return first.ordinal <= last.ordinal + 1
        name = Path(last.plain_path).name
        kind = self._names.kind_of(name)
        if not isinstance(kind, RingNames):
            return True
        if self.are_renamed:
            found = Path(first.plain_path).name
            # Others may be called by dates, which tell nothing.
            return found == kind.following([name], 0.0) or kind.key(found) is None
        if self._count is not None:
            following = self._names.following([name], 0.0)
            if first.plain_path != str(self._folder / following):
                return False
        # The one after it was full before the ring came round to it.
        return first.mtime_ns <= overwritten_ns

    def listing(self) -> list[FileRef]:
        """The files there are, oldest first; the last is the one written to.

        Raises:
            CannotRead: the folder can't be read.
        """
        try:
            before = self._look()
            for _ in range(_MAX_LOOKS):
                known = self._known(before)
                after = self._look()
                if _identities(after) == _identities(before):
                    return self._ordered(after, known)
                before = after
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise CannotRead(f"can't read the folder {self._folder}: {exc.strerror}") from exc
        return self._ordered(before, self._known(before))

    def _look(self) -> dict[str, FileRef]:
        found: dict[str, FileRef] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if self.has(str(self._folder / entry.name)) and entry.is_file():
                    with contextlib.suppress(FileNotFoundError):
                        state = entry.stat()
                        found[entry.name] = FileRef(
                            self._folder / entry.name,
                            state.st_ino,
                            state.st_size,
                            state.st_mtime_ns,
                            entry.name == self._names.current_name,
                        )
        # For a moment a compressed file and its original are both there: the same records.
        return {
            name: ref
            for name, ref in found.items()
            if plain_name(name) == name
            or plain_name(name) not in found
            or not _is_form_of(ref, found[plain_name(name)])
        }

    def _ordered(self, found: dict[str, FileRef], known: KnownFiles) -> list[FileRef]:
        written = {name: ref.mtime_ns for name, ref in found.items()}
        ordinals = known.ordinals
        return [
            replace(found[name], ordinal=ordinals.get(plain_name(name), 0))
            for name in oldest_first(written, known.names, self._names)
        ]

    def _known(self, found: dict[str, FileRef]) -> KnownFiles:
        """The log's files as the journal beside them has them, oldest first; else nothing."""
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return KnownFiles({})
        try:
            entries = read_journal(folder, f".{Path(self.pattern).name}.journal")
        except OSError:
            return KnownFiles({})
        finally:
            os.close(folder)
        known = KnownFiles.of_journal(entries)
        inode = 0
        for entry in entries:
            if isinstance(entry, Opened):
                inode = entry.inode
            elif isinstance(entry, Snapshot) and entry.current is not None:
                inode = entry.current.inode
        current = found.get(known.current)
        # Another file has the name: the journal is not of the log as it is.
        return known if current is not None and current.inode == inode else KnownFiles({})


def _is_form_of(compressed: FileRef, plain: FileRef) -> bool:
    """Whether a compressed file was made of the one beside it, not of one of that name before.

    Someone's `gzip` of the current file, for one, is followed by a new file of its name.
    """
    if compressed.mtime_ns == plain.mtime_ns:
        return True
    if compressed.suffix != ".gz" or compressed.size < _GZIP_END:
        return False
    try:
        with compressed.path.open("rb") as file:
            file.seek(-_GZIP_END, os.SEEK_END)
            return int.from_bytes(file.read(_GZIP_END), "little") == plain.size & 0xFFFFFFFF
    except OSError:
        return False


def _identities(found: dict[str, FileRef]) -> set[tuple[Path, int]]:
    return {(ref.path, ref.inode) for ref in found.values()}


def open_file(ref: FileRef) -> tuple[int, FileRef] | None:
    """Open a listed file, or what compression made of it meanwhile; None if it is gone.

    Returns:
        A descriptor, to be closed by the caller, and the file as it is now.

    Raises:
        CannotRead: it is there and can't be opened.
    """
    plain = ref.plain_path
    paths = [ref.path, *(Path(plain + suffix) for suffix in ("", *COMPRESSED_SUFFIXES))]
    return _opened(ref, paths) or (_opened(ref, _renamed(ref)) if ref.is_renamed else None)


def _renamed(ref: FileRef) -> list[Path]:
    """What a file may be called that was closed and perhaps compressed since it was listed."""
    found = []
    stem = ref.path.stem or ref.path.name
    with os.scandir(ref.path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(stem) and entry.name != ref.path.name:
                is_compressed = entry.name.endswith(COMPRESSED_SUFFIXES)
                if is_compressed or entry.inode() == ref.inode:
                    found.append(Path(entry.path))
    return found


def _opened(ref: FileRef, paths: Sequence[Path]) -> tuple[int, FileRef] | None:
    for path in dict.fromkeys(paths):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise CannotRead(f"can't read {path}: {exc.strerror}{_hint(exc)}") from exc
        state = os.fstat(descriptor)
        is_same = state.st_ino == ref.inode and state.st_size >= ref.size
        is_same = is_same and (path == ref.path or ref.is_renamed)
        is_compressed = path != ref.path and state.st_mtime_ns == ref.mtime_ns
        if is_same or is_compressed:
            now = replace(
                ref,
                path=path,
                inode=state.st_ino,
                size=state.st_size,
                mtime_ns=state.st_mtime_ns,
            )
            return descriptor, now
        os.close(descriptor)
    return None


def _hint(exc: OSError) -> str:
    if not isinstance(exc, PermissionError):
        return ""
    return " (its owner and group may: be one of them, or use sudo)"

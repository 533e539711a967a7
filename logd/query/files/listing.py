"""The text files of one log, oldest first, as they are at one moment.

The daemon may rotate, compress and remove files at any time. So a listing is taken again until two
in a row agree. A file is opened by its name and recognised by its inode. If it was compressed
meanwhile, it is recognised by its time, which compression leaves as it was.

If a compressed file and a plain one of its name are both there, what they hold tells whether
they are the same records.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from logd.outputs.base import OutputUnusable
from logd.outputs.files.age import Age, KnownFiles, oldest_first
from logd.outputs.files.beginnings import Beginnings, SeenFile
from logd.outputs.files.compression import common_start, holds_file
from logd.outputs.files.journalentries import Opened, Rotating, Snapshot, read_journal
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
from logd.text.reading import LineReader

_MAX_LOOKS = 20
_HEAD_BYTES = 256


@dataclass(frozen=True)
class FileRef:
    """One file.

    Attributes:
        path: where it is, compressed or not.
        inode: of the file that was there.
        size: its bytes on disk.
        mtime_ns: when it was last written to, unless a hand set that; compression leaves it.
        changed_ns: when anything about it was changed, which no hand can set; never before it was
            last written to.
        is_renamed: whether it gets another name when it is closed.
        ordinal: the how many-th file of the log it is, from 1 on; 0: unknown.
    """

    path: Path
    inode: int
    size: int
    mtime_ns: int
    changed_ns: int
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
        reader: reads the files' entries, to know how old they are; None: those of the default
            settings.

    Raises:
        CannotRead: the pattern can't be used.
    """

    def __init__(
        self, pattern: str, *, count: int | None = None, reader: LineReader | None = None
    ) -> None:
        # A copied archive is named as it lies there: app_3.log.zst is what became of app_3.log.
        self.pattern = pattern if "%" in pattern else plain_name(pattern)
        self._count = count
        self._beginnings = Beginnings(reader or LineReader())
        # Compressed files and those beside them that begin with what they hold: how they begin;
        # and whether a compressed file ends with what is in the one beside it.
        self._parts: dict[tuple[SeenFile, int], bytes] = {}
        self._ends: dict[tuple[SeenFile, SeenFile], bool] = {}
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
                            state.st_ctime_ns,
                            entry.name == self._names.current_name,
                        )
        pairs = [
            (name, plain_name(name))
            for name in found
            if plain_name(name) != name and plain_name(name) in found
        ]
        if pairs:
            with self._opened_folder() as folder:
                for compressed, plain in pairs:
                    self._take_once(folder, found, compressed, plain)
        return found

    def _take_once(
        self, folder: int, found: dict[str, FileRef], compressed: str, plain: str
    ) -> None:
        """Leave one of two files out if it holds nothing but what is in the other.

        For a moment a compressed file and its original are both there. Or a hand made one of them:
        a `gzip` of the current file is followed by a new file of its name, with other records.
        """
        if compressed not in found or plain not in found:
            return
        if self._is_part(folder, found[compressed], found[plain]):
            del found[compressed]
        elif found[plain].size and self._ends_with(folder, found[compressed], found[plain]):
            del found[plain]

    def _is_part(self, folder: int, compressed: FileRef, plain: FileRef) -> bool:
        try:
            descriptor = os.open(plain.path.name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return False
        try:
            key, head = (_seen(compressed), plain.inode), os.pread(descriptor, _HEAD_BYTES, 0)
            # The plain one grows; as long as it begins so, nothing changes that.
            if self._parts.get(key) == head:
                return True
            common = common_start(folder, compressed.path.name, descriptor)
            if common is not None:
                self._parts[key] = head
            return common is not None
        finally:
            os.close(descriptor)

    def _ends_with(self, folder: int, compressed: FileRef, plain: FileRef) -> bool:
        # What is compressed was complete before.
        if compressed.changed_ns < plain.changed_ns:
            return False
        key = (_seen(compressed), _seen(plain))
        if key not in self._ends:
            try:
                names = (compressed.path.name, plain.path.name)
                self._ends[key] = holds_file(folder, *names, lambda: True)
            except OSError:
                return False
        return self._ends[key]

    def _ordered(self, found: dict[str, FileRef], known: KnownFiles) -> list[FileRef]:
        ordinals = known.ordinals
        with self._opened_folder() as folder:

            def age(name: str) -> Age:
                return self._beginnings.age(folder, name, _seen(found[name]))

            order = oldest_first(found, known.names, self._names, age)
        return [replace(found[name], ordinal=ordinals.get(plain_name(name), 0)) for name in order]

    @contextlib.contextmanager
    def _opened_folder(self) -> Iterator[int]:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder
        finally:
            os.close(folder)

    def _known(self, found: dict[str, FileRef]) -> KnownFiles:
        """The log's files as the journal beside them has them, oldest first; else nothing."""
        try:
            with self._opened_folder() as folder:
                entries = read_journal(folder, f".{Path(self.pattern).name}.journal")
        except OSError:
            return KnownFiles({})
        known = KnownFiles.of_journal(entries)
        inode, rotating = 0, None
        for entry in entries:
            if isinstance(entry, Opened):
                inode, rotating = entry.inode, None
            elif isinstance(entry, Snapshot) and entry.current is not None:
                inode = entry.current.inode
            elif isinstance(entry, Rotating):
                rotating = entry
        current = found.get(known.current)
        if current is None or current.inode != inode:
            # Another file has the name: the journal is not of the log as it is.
            return KnownFiles({})
        # The next file is there before the journal has it, and empty until then.
        fresh = None if rotating is None else found.get(rotating.name)
        if fresh is not None and not fresh.size:
            known.go_on(fresh.path.name, known.lines)
        return known


def _seen(ref: FileRef) -> SeenFile:
    return SeenFile(ref.inode, ref.size, ref.mtime_ns, ref.changed_ns)


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
                changed_ns=state.st_ctime_ns,
            )
            return descriptor, now
        os.close(descriptor)
    return None


def _hint(exc: OSError) -> str:
    if not isinstance(exc, PermissionError):
        return ""
    return " (its owner and group may: be one of them, or use sudo)"

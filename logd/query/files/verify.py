"""Whether the text files of a log are what its journal and indexes say; for `logd verify`.

It reads everything and changes nothing. The daemon may go on meanwhile: what it does after the
journal was read is not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from logd.outputs.files.age import KnownFiles
from logd.outputs.files.journalentries import Append, Entry, Gap, Opened, Snapshot, read_journal
from logd.outputs.files.logfile import holds_block
from logd.query.files.indexing import NotIndexed, build, can_index
from logd.query.files.layouts import structured_layout
from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import DAMAGED, split
from logd.query.files.scan import blocks_forwards, read_generation
from logd.query.files.sidecar import index_path, load
from logd.query.positions import CannotRead
from logd.query.selection import EVERYTHING
from logd.query.verifying import Checked
from logd.text.reading import LineReader


def checks(
    files: RingFiles, reader: LineReader, on_bytes: Callable[[float], object]
) -> Iterator[Checked]:
    """Look at each file of a log, oldest first.

    Args:
        files: of the log.
        reader: reads its entries.
        on_bytes: told how much of the work is done, 0 to 1.

    Raises:
        CannotRead: the folder can't be read.
    """
    journal = _journal(files)
    known = KnownFiles.of_journal(journal)
    refs = files.listing()
    total, done = sum(ref.size for ref in refs) or 1, 0
    torn = _torn(files, journal)
    for ref in refs:
        plain = Path(ref.plain_path).name
        grows = plain == known.current
        counted = known.lines if grows else known.closed.get(plain)
        is_foreign = bool(known.names) and plain not in known.names and not files.is_moved(plain)
        is_last = ref is refs[-1]
        yield _checked(
            *(ref, reader, counted, is_foreign, torn.get(plain)), is_last=is_last, grows=grows
        )
        done += ref.size
        on_bytes(done / total)
    there = {Path(ref.plain_path).name for ref in refs}
    if known.current and known.current not in there:
        yield Checked(known.current, faults=("missing: the journal says that it is written to",))
    gaps = sum(entry.size for entry in journal if isinstance(entry, Gap))
    if journal:
        name = _journal_name(files)
        faults = (f"damaged: {gaps} bytes of it can't be read",) if gaps else ()
        yield Checked(name, faults=faults)


def _journal_name(files: RingFiles) -> str:
    return f".{Path(files.pattern).name}.journal"


def _journal(files: RingFiles) -> list[Entry | Gap]:
    try:
        folder = os.open(files.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise CannotRead(f"can't read the folder {files.folder}: {exc.strerror}") from exc
    try:
        return read_journal(folder, _journal_name(files))
    except OSError as exc:
        raise CannotRead(f"can't read {_journal_name(files)}: {exc.strerror}") from exc
    finally:
        os.close(folder)


def _torn(files: RingFiles, journal: Sequence[Entry | Gap]) -> dict[str, str]:
    """Names of files with a block that is not what the journal says, and what is wrong.

    Compressed files were compared with what they were made of, and read to their end here.
    """
    if not journal:
        return {}
    wrong: dict[str, str] = {}
    folder = os.open(files.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for file, block in _blocks(journal):
            path = files.folder / file.name
            if file.name in wrong or not path.exists() or path.stat().st_ino != file.inode:
                continue
            if not holds_block(folder, file, block):
                wrong[file.name] = (
                    f"torn: its {block.length} bytes from {block.offset} on are not what the "
                    "journal says"
                )
    finally:
        os.close(folder)
    return wrong


def _blocks(journal: Sequence[Entry | Gap]) -> Iterator[tuple[Opened, Append]]:
    """The blocks that the journal knows, with their files."""
    file: Opened | None = None
    for entry in journal:
        match entry:
            case Snapshot():
                file = entry.current
            case Opened():
                file = entry
            case Gap():
                # Perhaps another file was begun there.
                file = None
            case Append():
                if file is not None:
                    yield file, entry


def _checked(
    ref: FileRef,
    reader: LineReader,
    counted: int | None,
    is_foreign: bool,
    torn: str | None,
    *,
    is_last: bool,
    grows: bool,
) -> Checked:
    """One file, read to its end."""
    name = ref.path.name
    faults = [] if torn is None else [torn]
    notes: list[str] = []
    if is_foreign:
        faults.append("foreign: the journal does not know it")
    try:
        opened = open_file(ref)
    except CannotRead as exc:
        return Checked(name, faults=(f"unreadable: {exc}",))
    if opened is None:
        return Checked(name, notes=("gone: the log went on meanwhile",))
    descriptor, now = opened
    looked = _Looked()
    try:
        reader.times.last_written = now.mtime_ns / 1e9
        _look(descriptor, now, ref.size, reader, looked)
        if not now.suffix and not is_last and looked.place < ref.size:
            faults.append(f"torn: its last {ref.size - looked.place} bytes are no whole line")
        faults += _index_faults(descriptor, now, reader, is_last=is_last)
    except DAMAGED as exc:
        faults.append(f"unreadable after {looked.place} bytes: {exc}")
    finally:
        os.close(descriptor)
    records = looked.records
    if looked.strangers and not faults and counted == records:
        # Written by the daemon, as the journal knows: by its settings of then.
        notes.append(f"{looked.strangers} of its entries are in another format (line_format)")
    elif looked.strangers:
        faults.append(f"foreign: {looked.strangers} of its entries are no lines of logd")
    # More may have come to the current one since the journal was read.
    if counted is not None and not faults and counted != records and not grows:
        faults.append(f"missing: the journal counted {counted} records, it has {records}")
    return Checked(name, records, tuple(faults), tuple(notes))


@dataclass
class _Looked:
    """How far a file was read."""

    records: int = 0
    strangers: int = 0
    place: int = 0


def _look(descriptor: int, ref: FileRef, size: int, reader: LineReader, looked: _Looked) -> None:
    prefilter = Prefilter(EVERYTHING, reader)
    for block in blocks_forwards(descriptor, ref, 0, None if ref.suffix else size):
        raws = split(block.data)
        looked.records += len(raws)
        if reader.is_own_format and not (prefilter.is_fast(raws) or structured_layout(raws)):
            looked.strangers += sum(_is_strange(reader, raw) for raw in raws)
        looked.place = block.place + len(block.data)


def _is_strange(reader: LineReader, raw: bytes) -> bool:
    return reader.read(raw).is_mere_text


def _index_faults(descriptor: int, ref: FileRef, reader: LineReader, *, is_last: bool) -> list[str]:
    """What is wrong with the index of a file; nothing if there is none."""
    if not can_index(reader) or not index_path(ref).exists():
        return []
    index = load(ref, read_generation(descriptor, ref), descriptor)
    if index is None:
        # That of a file that is written to may be of before the machine was started anew.
        is_old = is_last and not ref.suffix
        text = f"index: {index_path(ref).name} is damaged or of another file (it is not used)"
        return [] if is_old else [text]
    if index.is_open and ref.suffix:
        return []
    try:
        until = index.size if index.is_open else None
        is_right = build(descriptor, ref, reader, is_open=index.is_open, until=until)
    except NotIndexed:
        return [f"index: {index_path(ref).name} can't be of this file"]
    if not ref.suffix and index_path(ref).read_bytes() != is_right:
        return [f"index: {index_path(ref).name} is not what the file says"]
    return []

"""Takes up a log of files where the last run left it, and repairs what a crash left."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from logd.outputs.disk import entries_of, sync_names, write_again
from logd.outputs.files.age import KnownFiles
from logd.outputs.files.boots import boot_id
from logd.outputs.files.compression import common_start
from logd.outputs.files.folder import (
    forms,
    inode_of,
    make_way,
    moved_name,
    torn_name,
)
from logd.outputs.files.janitor import trash_name
from logd.outputs.files.journalentries import Entry, Gap, Opened
from logd.outputs.files.logfile import (
    LogFile,
    count_entries,
    cut_off,
    holds_block,
    is_block,
    is_compressed_block,
    open_known,
)
from logd.outputs.files.logfolder import LogFolder
from logd.outputs.files.names import Names, plain_name
from logd.outputs.files.recovery import Recovered, Replaced, Unsynced, recover
from logd.outputs.marks import Marks

logger = logging.getLogger(__name__)

UNCOUNTED = -1
"""Stands for the records of a file that nobody has counted."""


@dataclass
class Resumed:
    """The state of a log at the start.

    Attributes:
        file: the current file, open, with its counts.
        marks: what is known of sessions.
        number: number of the last block, 0 in a new log.
        known: the log's files in their order.
    """

    file: LogFile
    marks: Marks
    number: int
    known: KnownFiles


def adopt(folder: LogFolder, now: float) -> Resumed:
    """Take up a log without a journal: a new one, or the files of some other program.

    The newest file goes on; its entries are counted, once.
    """
    file, closed = _newest(folder, KnownFiles({}), now)
    known = KnownFiles(dict.fromkeys(closed, UNCOUNTED), file.name, len(closed) + 1)
    return Resumed(file, Marks(), 0, known)


def _newest(folder: LogFolder, known: KnownFiles, now: float) -> tuple[LogFile, Sequence[str]]:
    """The newest file, to go on with, or one after it if it is compressed; and those before."""
    names = folder.names
    order = folder.order(known.names, folder.files())
    plain = list(dict.fromkeys(map(plain_name, order)))
    if not order:
        return LogFile(folder.descriptor, names.first(now)), ()
    if names.current_name:
        file = _opened_and_counted(folder, names.current_name, now)
        return file, [name for name in plain if name != file.name]
    if plain_name(order[-1]) == order[-1]:
        return _opened_and_counted(folder, order[-1], now), plain[:-1]
    following = folder.following(plain, now)
    make_way(folder.descriptor, following)
    file = LogFile(folder.descriptor, following)
    return file, [name for name in plain if name != following]


def resume(
    folder: LogFolder,
    entries: Sequence[Entry | Gap],
    now: float,
    *,
    durable: bool,
    is_old: bool = False,
) -> Resumed:
    """Take up a log by its journal.

    Args:
        folder: its folder; the journal may know other names than are used now.
        entries: the journal.
        now: seconds since the epoch.
        durable: what counts must be on disk before anyone hears of it.
        is_old: the journal is one that was replaced since, or lacks its end.
    """
    if is_old:
        return _resume_by_old(folder, entries, now)
    descriptor = folder.descriptor
    found = recover(
        entries, boot_id(), partial(holds_block, descriptor), partial(inode_of, descriptor)
    )
    if found.lost_bytes:
        logger.error(
            "the journal is damaged: %d bytes of it can't be read; the log keeps what it holds",
            found.lost_bytes,
        )
    known = KnownFiles.of_journal(entries)
    if not (found.is_clean or found.is_same_boot):
        for replaced in found.replaced:
            _give_up_again(descriptor, replaced)
    for cut in found.cuts:
        _cut(descriptor, cut.file, cut.size, known)
    if durable:
        _sync_files(descriptor, found.unsynced, known)
    found.marks.take_up(now)
    lines = found.current.lines if found.current is not None else 0
    file = _current(folder, found, known, now)
    is_other = found.current is not None and file.inode != found.current.inode
    before = ""
    if is_other and found.current:
        before = moved_name(descriptor, folder.names, found.current, known.closed)
    known.go_on(file.name, lines, before)
    if durable:
        # Before the next journal is in force: it takes for granted what was renamed here.
        sync_names(descriptor)
    return Resumed(file, found.marks, found.number, known)


def _resume_by_old(folder: LogFolder, entries: Sequence[Entry | Gap], now: float) -> Resumed:
    """Take up a log whose journal knows only its past.

    Someone restored a copy, or cut it. What it says of sessions is true as far as it goes; of the
    files it says nothing: they are taken up as if there was no journal, and nothing is cut off.
    """
    logger.error(
        "the journal is older than the log: a copy was restored, or its end was cut off. "
        "The log keeps what it holds; what senders repeat may be in it twice"
    )
    found = recover(entries, "", lambda _file, _block: True, partial(inode_of, folder.descriptor))
    found.marks.take_up(now)
    known = KnownFiles.of_journal(entries)
    file, closed = _newest(folder, KnownFiles({}), now)
    lines = {name: known.closed.get(name, UNCOUNTED) for name in closed}
    return Resumed(
        file, found.marks, found.number, KnownFiles(lines, file.name, known.begun, known.written)
    )


def _give_up_again(folder: int, replaced: Replaced) -> None:
    """Move away what a rotation had, if the disk has the journal's note of it but not that."""
    new, first = replaced.file, replaced.first
    is_new = first is not None and is_block(folder, replaced.name, first)
    for name in forms(replaced.name):
        inode = inode_of(folder, name)
        if inode in replaced.inodes and not (is_new and name == replaced.name):
            os.rename(name, trash_name(name, inode), src_dir_fd=folder, dst_dir_fd=folder)
    for name in forms(replaced.name)[1:]:
        # Removed in its turn before the rotation, and back; not what a hand made of the new file.
        if first is None or not is_compressed_block(folder, name, first):
            _move_stranger(folder, name)
    # The original of what was compressed, perhaps: of that the journal knows no inode.
    if not is_new and new is not None and inode_of(folder, replaced.name) != new.inode:
        _move_stranger(folder, replaced.name)


def _move_stranger(folder: int, name: str) -> None:
    inode = inode_of(folder, name)
    if inode:
        aside = _moved_aside(folder, name, inode)
        logger.warning(
            "%s is not the file that the journal has under this name: its %d records are kept "
            "as %s",
            name,
            _records_in(folder, aside),
            aside,
        )


def _current(folder: LogFolder, found: Recovered, files: KnownFiles, now: float) -> LogFile:
    known, rotating, names = found.current, found.rotating, folder.names
    if rotating is not None and names.matches(rotating.name):
        if inode_of(folder.descriptor, rotating.name) == rotating.old_inode:
            make_way(folder.descriptor, rotating.name)
        elif not found.is_same_boot:
            _set_aside(folder.descriptor, rotating.name)
        return _opened_and_counted(folder, rotating.name, now)
    if known is None or not names.matches(known.name):
        return _newest(folder, files, now)[0]
    if not (found.is_clean or found.is_same_boot):
        _set_aside_unknown(folder.descriptor, names, known, files)
    if names.current_name not in ("", known.name):
        # The log has a plain name now.
        return _opened_and_counted(folder, names.current_name, now)
    if inode_of(folder.descriptor, known.name) != known.inode:
        # Exchanged by someone, removed, or lost with the machine.
        return _opened_and_counted(folder, known.name, now)
    file = LogFile(folder.descriptor, known.name)
    if file.size >= known.size and not (found.is_clean or found.is_same_boot):
        _cut(folder.descriptor, known, known.size, files)
        file.size = known.size
        file.look_at_end()
    if file.size != known.size:
        logger.info(
            "%s has %d bytes, but the last run had left %d: going on at its end",
            file.name,
            file.size,
            known.size,
        )
    file.lines = known.lines if file.size >= known.size else count_entries(file.descriptor)
    file.started = known.started if file.size else 0.0
    return file


def _opened_and_counted(folder: LogFolder, name: str, now: float) -> LogFile:
    file = LogFile(folder.descriptor, name)
    if file.size:
        file.lines = count_entries(file.descriptor)
        begun = folder.begun(name)
        file.started = min(now, os.fstat(file.descriptor).st_mtime if begun is None else begun)
    return file


def _set_aside_unknown(folder: int, names: Names, known: Opened, files: KnownFiles) -> None:
    """Rename files that a rotation began of which the journal lost its note.

    What is in them was written after everything that the journal knows, and will be sent again.
    """
    unknown = []
    if names.current_name == known.name and moved_name(folder, names, known, files.closed):
        # The last of what is in the one that was renamed may be unknown, too.
        _cut(folder, known, known.size, files)
        unknown.append(known.name)
    elif inode_of(folder, known.name) not in (0, known.inode):
        # Each file of a copied folder is another one than the journal knows.
        return
    elif known.next_name and known.next_name != known.name:
        inode = inode_of(folder, known.next_name)
        if inode not in (0, known.next_inode):
            unknown.append(known.next_name)
    elif not known.next_name and (key := names.key(known.name)):
        with entries_of(folder) as entries:
            unknown += [
                entry.name
                for entry in entries
                if (other := names.key(entry.name)) is not None and other > key
            ]
    for name in unknown:
        _set_aside(folder, name)


def _set_aside(folder: int, name: str) -> None:
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(state.st_mode):
        return
    if not state.st_size:
        # Nothing is in it that anybody would look for.
        trash = trash_name(name, state.st_ino)
        os.rename(name, trash, src_dir_fd=folder, dst_dir_fd=folder)
        return
    aside = _moved_aside(folder, name, state.st_ino)
    logger.warning(
        "%s was begun just before the machine stopped and is not in the journal: "
        "its %d records, which nobody was told are stored, are kept as %s",
        name,
        _records_in(folder, aside),
        aside,
    )


def _moved_aside(folder: int, name: str, inode: int) -> str:
    aside = f"{torn_name(name)}.{inode}"
    os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
    return aside


def _cut(folder: int, file: Opened, size: int, files: KnownFiles) -> None:
    descriptor = open_known(folder, file, _others(file, files))
    if descriptor is None:
        return
    try:
        _give_up_copies(folder, file.name, descriptor, size)
        surplus = cut_off(folder, descriptor, size, torn_name(file.name))
        if surplus:
            logger.warning(
                "%s: the last stop left %d bytes of unfinished writing behind byte %d, which "
                "nobody was told are stored: moved to %s, which holds %d records now",
                file.name,
                surplus,
                size,
                torn_name(file.name),
                _records_in(folder, torn_name(file.name)),
            )
    finally:
        os.close(descriptor)


def _give_up_copies(folder: int, name: str, descriptor: int, size: int) -> None:
    """Move away copies (`gzip -k`) of a file that have what is to be cut: that comes again."""
    for form in forms(name)[1:]:
        common = common_start(folder, form, descriptor)
        if common is not None and common.is_whole and common.size > size:
            trash = trash_name(form, inode_of(folder, form))
            os.rename(form, trash, src_dir_fd=folder, dst_dir_fd=folder)


def _records_in(folder: int, name: str) -> int:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return 0
    try:
        return count_entries(descriptor)
    finally:
        os.close(descriptor)


def _others(file: Opened, files: KnownFiles) -> set[str]:
    return set(files.names) - {file.name}


def _sync_files(folder: int, unsynced: Sequence[Unsynced], files: KnownFiles) -> None:
    """Bring to disk what counts; written anew, for an earlier sync may have failed."""
    for file, start in unsynced:
        descriptor = open_known(folder, file, _others(file, files))
        if descriptor is not None:
            try:
                write_again(descriptor, start, os.fstat(descriptor).st_size)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

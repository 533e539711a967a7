"""Background work on the closed files of a log: compression, retention, removal.

One thread of low priority for each log, so that a rotation costs the writer no more than a
few renames. What is to be removed gets a name of its own first (`trash_name`): from then on it is
out of the way, and a crash before it is gone leaves nothing that could be taken for a log.

The folder is the only state: each round looks at what is there, so a round that was cut short by
a crash is made good by the first one after the next start.

Nothing is given up whose successor may not be there after a power loss: before a file goes, the
journal's note of the rotation that closed it is brought to disk (`settle`), and an original goes
only if its compressed form was read back and holds the same bytes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal

from logd.outputs.disk import entries_of, sync_names
from logd.outputs.failpoints import failpoint
from logd.outputs.files.age import KnownFiles
from logd.outputs.files.beginnings import SeenFile
from logd.outputs.files.compression import (
    SUFFIXES,
    TEMPORARY_SUFFIX,
    Interrupted,
    compress_file,
    holds_file,
)
from logd.outputs.files.logfolder import LogFolder
from logd.outputs.files.names import plain_name
from logd.rotation.policy import Closed, Retention

logger = logging.getLogger(__name__)

_TRASH_SUFFIX = ".trash"
_NICE = 10
_REMOVED_BYTES = 32 << 20
_REMOVED_PAUSE_S = 0.005


def trash_name(name: str, inode: int) -> str:
    """What a file is called from when it is given up until it is gone."""
    return f".{name}.{inode}{_TRASH_SUFFIX}"


class Janitor:
    """Looks after the closed files of one log.

    Args:
        folder: the log's folder; its descriptor must outlive `close`.
        lock: held while names change; the owner holds it while it rotates.
        known: the log's files as the log knows them; asked under the lock.
        settle: brings to disk that the files that are closed now are closed.
        retention: what is kept.
        compress: format for closed files, or "none".
        min_free_bytes: below this much free space the oldest files are removed; 0 is off.
        label: the log's name in messages.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        folder: LogFolder,
        lock: threading.RLock,
        known: Callable[[], KnownFiles],
        *,
        settle: Callable[[], None],
        retention: Retention,
        compress: Literal["none", "gzip", "zstd"],
        min_free_bytes: int,
        label: str,
        clock: Callable[[], float],
    ) -> None:
        self._log_folder = folder
        self._folder = folder.descriptor
        self._names = folder.names
        self._lock = lock
        self._known = known
        self._settle = settle
        self._retention = retention
        self._compress = compress
        self._min_free_bytes = min_free_bytes
        self._label = label
        self._clock = clock
        # Pairs of a compressed file and a file that is not its original; comparing takes time.
        self._strangers: set[tuple[SeenFile, SeenFile]] = set()
        # Files that can't be compressed; said once.
        self._refused: set[str] = set()
        # Guards the two events, which change together.
        self._state = threading.Lock()
        self._wanted = threading.Event()
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Ask for a round; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=f"logd-janitor {self._label}", daemon=True
            )
            self._thread.start()
        with self._state:
            self._is_idle.clear()
            self._wanted.set()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do; False after `timeout_s`."""
        return self._is_idle.wait(timeout_s)

    def close(self) -> None:
        """Break off what is under way, end the thread and leave nothing half done."""
        self._is_closing = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            with contextlib.suppress(OSError):
                self._remove_half_done()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._is_closing:
                return
            try:
                self._round()
            except Interrupted:
                return
            except OSError as exc:
                logger.warning(
                    "%s: closed files can't be compressed or removed now, trying later: %s",
                    self._label,
                    exc,
                )
            except Exception:
                logger.exception("%s: looking after closed files failed", self._label)
            with self._state:
                if not self._wanted.is_set():
                    self._is_idle.set()

    def _round(self) -> None:
        self._remove_leftovers()
        self._keep_to_retention()
        self._keep_space_free()
        if self._compress != "none":
            self._compress_all(self._compress)
            self._keep_to_retention()

    # -- removing --------------------------------------------------------------------------

    def _remove_leftovers(self) -> None:
        """What is half done, and originals whose compressed form is finished."""
        self._remove_half_done()
        for name in self._listing():
            if (plain := plain_name(name)) != name and self._names.matches(name):
                self._remove_original(plain, name)

    def _remove_half_done(self) -> None:
        """Trash and half-made compressed files."""
        with self._lock:
            # Not in the middle of a rotation, which `settle` would not know of.
            names = self._listing()
        for name in filter(self._is_leftover, names):
            self._settle()
            self._unlink(name)

    def _remove_original(self, name: str, compressed: str) -> None:
        """Remove a closed file if it was compressed; what only has the name of one stays."""
        with self._lock:
            state = None if name == self._current() else self._look_at(name)
        if state is None:
            return
        if self._is_held(name, state, compressed):
            self._give_up(name, state)

    def _is_held(self, name: str, state: os.stat_result, compressed: str) -> bool:
        """Whether a compressed file is there and holds what is in a closed file."""
        other = self._look_at(compressed)
        pair = (_identity(state), _identity(other)) if other is not None else None
        if pair is None or pair in self._strangers:
            return False
        if holds_file(self._folder, compressed, name, self._is_wanted):
            return True
        self._strangers.add(pair)
        logger.warning(
            "%s: %s does not hold what is in %s: both are kept", self._label, compressed, name
        )
        return False

    def _give_up(self, name: str, state: os.stat_result) -> None:
        """Remove a closed file, unless it is another by now."""
        self._settle()
        # The compressed form must be found under its name before the original goes for good.
        sync_names(self._folder)
        with self._lock:
            trash = self._to_trash(name) if self._is_still(name, state) else None
        if trash is not None:
            self._unlink(trash)

    def _is_wanted(self) -> bool:
        return not self._is_closing

    def _look_at(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _is_leftover(self, name: str) -> bool:
        if not name.startswith("."):
            return False
        if name.endswith(TEMPORARY_SUFFIX):
            made = name[1:].removesuffix(TEMPORARY_SUFFIX)
            return plain_name(made) != made and self._names.matches(made)
        if name.endswith(_TRASH_SUFFIX):
            original, _, inode = name[1:].removesuffix(_TRASH_SUFFIX).rpartition(".")
            return inode.isdecimal() and self._names.matches(original)
        return False

    def _listing(self) -> list[str]:
        with entries_of(self._folder) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]

    def _current(self) -> str:
        return self._known().names[-1]

    def _closed(self) -> list[tuple[str, Closed]]:
        """The closed files with size and time, oldest first."""
        with self._lock:
            # Together: with a file begun in between, one that is closed by now would be left out,
            # and a younger one removed in its place.
            known = self._known().copy()
            found = self._log_folder.files()
        return [
            (name, Closed(found[name].st_size, self._last_written(name, known, found[name])))
            for name in self._log_folder.order(known.names, found)
            if name != known.names[-1]
        ]

    def _last_written(self, name: str, known: KnownFiles, state: os.stat_result) -> float:
        """When a closed file got its last record: by the journal, else by the file's own time."""
        own = known.written.get(plain_name(name))
        if own is not None or self._retention.age_s is None:
            return state.st_mtime if own is None else own
        # That may have been set back by hand, but not before the first record.
        begun = self._log_folder.begun(name)
        return max(state.st_mtime, min(begun or 0.0, self._clock()))

    def surplus(self) -> list[tuple[str, Closed]]:
        """The closed files that retention no longer keeps, oldest first."""
        closed = self._closed()
        # Both forms of a file that is being compressed are one: else one more would have to go.
        forms = [list(both) for _, both in groupby(closed, lambda item: plain_name(item[0]))]
        with self._lock:
            try:
                state = os.stat(self._current(), dir_fd=self._folder, follow_symlinks=False)
                current_size = state.st_size
            except FileNotFoundError:
                current_size = 0
        count = self._retention.surplus(
            [_together([item for _, item in both]) for both in forms],
            self._clock(),
            current_size=current_size,
        )
        return [item for both in forms[:count] for item in both]

    def _keep_to_retention(self) -> None:
        for name, _ in self.surplus():
            self._remove(name)

    def _keep_space_free(self) -> None:
        if not self._min_free_bytes:
            return
        for name, item in self._closed():
            space = os.fstatvfs(self._folder)
            free = space.f_bavail * space.f_frsize
            if free >= self._min_free_bytes:
                return
            logger.warning(
                "%s: %d bytes free, at least %d wanted: removing the oldest file, %s (%d bytes)",
                self._label,
                free,
                self._min_free_bytes,
                name,
                item.size,
            )
            self._remove(name)

    def _remove(self, name: str) -> None:
        self._settle()
        with self._lock:
            trash = None if name == self._current() else self._to_trash(name)
        if trash is not None:
            self._unlink(trash)

    def _to_trash(self, name: str) -> str | None:
        """Rename a file out of the way, if it is there; under the lock."""
        try:
            inode = os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return None
        trash = trash_name(name, inode)
        self._rename(name, trash)
        failpoint("janitor.after_trash")
        return trash

    def _unlink(self, name: str) -> None:
        """Remove a file; a large one piece by piece, or the file system is busy with it for long.

        One gigabyte at once held up a write to another file of the folder for 20 ms.
        """
        with contextlib.suppress(OSError):
            self._shrink(name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)

    def _shrink(self, name: str) -> None:
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._folder)
        try:
            state = os.fstat(descriptor)
            # Under another name someone else keeps it.
            size = state.st_size if state.st_nlink == 1 else 0
            while size > _REMOVED_BYTES and not self._is_closing:
                size -= _REMOVED_BYTES
                os.ftruncate(descriptor, size)
                time.sleep(_REMOVED_PAUSE_S)
        finally:
            os.close(descriptor)

    # -- compressing -----------------------------------------------------------------------

    def _compress_all(self, kind: Literal["gzip", "zstd"]) -> None:
        for name, _ in self._closed():
            if plain_name(name) == name:
                try:
                    self._compress_one(name, kind)
                except OSError as exc:
                    if name not in self._refused:
                        logger.warning("%s: %s stays uncompressed: %s", self._label, name, exc)
                    self._refused.add(name)

    def _compress_one(self, name: str, kind: Literal["gzip", "zstd"]) -> None:
        state = self._look_at(name)
        if state is None:
            return  # The ring has come round to it in the meantime.
        try:
            if self._is_held(name, state, name + SUFFIXES[kind]):
                self._give_up(name, state)
                return
            # If the journal still called it the current file, it would go on growing.
            self._settle()
            temporary = compress_file(self._folder, name, kind, self._is_wanted)
        except OSError:
            with self._lock:
                if not self._is_still(name, state):
                    return  # The same: what was read is another file, which grows.
            raise
        failpoint("compression.before_rename")
        with self._lock:
            is_same = self._is_still(name, state)
            if is_same:
                self._rename(temporary, name + SUFFIXES[kind])
        if not is_same:
            self._unlink(temporary)
            return
        failpoint("compression.after_rename")
        self._give_up(name, state)

    def _is_still(self, name: str, state: os.stat_result) -> bool:
        """True if a closed file is the one that was looked at before; under the lock."""
        now = self._look_at(name)
        return now is not None and name != self._current() and _identity(now) == _identity(state)

    def _rename(self, name: str, target: str) -> None:
        os.rename(name, target, src_dir_fd=self._folder, dst_dir_fd=self._folder)


def _together(both: Sequence[Closed]) -> Closed:
    return Closed(sum(item.size for item in both), max(item.last for item in both))


def _identity(state: os.stat_result) -> SeenFile:
    # With the time that no hand can set: a copy in the file's place may have all else in common.
    return SeenFile.of(state)

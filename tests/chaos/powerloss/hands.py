"""Hands in a log's folder, while the daemon writes or between its runs: operators, cron, backups.

What is right after each:

- `touch`, a closed file's other name, `gzip` (which syncs what it made before it removes anything),
  `gzip -k`, a copy of a file brought back as it was: nothing is lost, doubled or cut.
- `rm`, a cut, a file that is moved out of the log, an older copy in a file's place: what was in
  there is the person's, and may be gone. A cut may also leave half a record. All else stays.
- A journal that is removed, an older current file: records that are not acknowledged yet may be
  stored twice.

A hand says in marks what becomes its own before it acts: "theirs aaaa 17".
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path

from logd.outputs.files.age import KnownFiles
from logd.outputs.files.journalentries import Entry, Gap
from logd.outputs.files.names import plain_name
from tests.outputs.output_making import read_entries, read_file

Mark = Callable[[str], None]

RECORD = re.compile(rb"(aaaa|bbbb) record (\d+)\b")
_REOPENED_S = 10.0


class Hands:
    """Does one thing after the other to a log of files.

    Args:
        folder: the log's folder.
        pattern: of its files, with a `%d`.
        dice: chooses.
        mark: writes a mark into the trace.
        hang_up: sends the daemon SIGHUP; None if none runs.
    """

    def __init__(
        self,
        folder: Path,
        pattern: str,
        dice: random.Random,
        mark: Mark,
        hang_up: Callable[[signal.Signals], None] | None,
    ) -> None:
        self._folder = folder
        self._pattern = pattern
        self._dice = dice
        self._mark = mark
        self._hang_up = hang_up

    def act(self, outstanding: Mapping[str, range]) -> None:
        """Do something.

        Args:
            outstanding: client -> the records that are sent and not acknowledged.
        """
        files = sorted(self._folder.glob(self._pattern.replace("%d", "[0-9]*")))
        if not files:
            return
        deeds = [
            self._touch,
            self._gzip,
            self._keep_gzipped,
            self._move,
            self._move_away,
            self._move_current,
            self._remove,
            self._cut,
            self._bring_back,
            self._restore_older,
            self._remove_journal,
        ]
        deed = self._dice.choice(deeds)
        self._mark(f"hand {deed.__name__} 0")
        deed(files, outstanding)

    # -- what changes nothing ----------------------------------------------------------------

    def _touch(self, files: Sequence[Path], _outstanding: Mapping[str, range]) -> None:
        for path in files:
            when = self._dice.choice((1, time.time_ns(), time.time_ns() + 10**15))
            os.utime(path, ns=(when, when))

    def _gzip(self, files: Sequence[Path], outstanding: Mapping[str, range]) -> None:
        path = self._dice.choice(files)
        if path.suffix == ".gz" or path.with_name(path.name + ".gz").exists():
            return
        # What comes meanwhile to the current file the daemon writes anew, from a file that has no
        # name any more: if the machine dies before that is synced, it is lost with the file.
        self._take(b"", outstanding)
        self._gzipped(path)
        path.unlink(missing_ok=True)

    def _keep_gzipped(self, files: Sequence[Path], _outstanding: Mapping[str, range]) -> None:
        path = self._dice.choice(files)
        if path.suffix != ".gz" and not path.with_name(path.name + ".gz").exists():
            self._gzipped(path)

    def _gzipped(self, path: Path) -> None:
        try:
            state, data = path.stat(), path.read_bytes()
        except FileNotFoundError:
            return
        target = path.with_name(path.name + ".gz")
        self._write(target, gzip.compress(data))
        os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))

    def _move(self, files: Sequence[Path], _outstanding: Mapping[str, range]) -> None:
        """Give a closed file another number, or one as logrotate does."""
        closed = [path for path in files if path != self._current()]
        if not closed:
            return
        path = self._dice.choice(closed)
        suffix = path.name.removeprefix(plain_name(path.name))
        numbers = (self._dice.randint(1000, 9999) for _ in count())
        names = (self._pattern.replace("%d", str(number)) for number in numbers)
        name = next(name for name in names if not list(self._folder.glob(f"{name}*")))
        self._rename(path, path.with_name(name + suffix))

    def _bring_back(self, files: Sequence[Path], _outstanding: Mapping[str, range]) -> None:
        """A closed file from a backup of a moment ago, in the place of itself: a new inode."""
        closed = [path for path in files if path != self._current()]
        if closed:
            path = self._dice.choice(closed)
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return
            copy = path.with_name("backup")
            self._write(copy, data)
            if path.exists():
                self._rename(copy, path)
            else:
                # The janitor compressed it meanwhile.
                copy.unlink()

    # -- what makes records theirs -----------------------------------------------------------

    def _move_away(self, files: Sequence[Path], outstanding: Mapping[str, range]) -> None:
        path = self._dice.choice(files)
        self._take_all(path, outstanding)
        is_current = path == self._current()
        self._rename(path, path.with_name(f"old-{path.name}"))
        if is_current:
            self._wait_for_another(path)

    def _move_current(self, files: Sequence[Path], outstanding: Mapping[str, range]) -> None:
        """As logrotate does; it is found under the new name."""
        path = self._current()
        if not path.with_name(f"{path.name}.1").exists():
            self._rename(path, path.with_name(f"{path.name}.1"))
            self._wait_for_another(path)

    def _remove(self, files: Sequence[Path], outstanding: Mapping[str, range]) -> None:
        path = self._dice.choice(files)
        self._take_all(path, outstanding)
        path.unlink(missing_ok=True)

    def _cut(self, files: Sequence[Path], outstanding: Mapping[str, range]) -> None:
        path = self._dice.choice(files)
        if path.suffix == ".gz":
            return
        self._take_all(path, outstanding)
        with contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            os.truncate(path, self._dice.choice((0, self._dice.randint(0, size))))

    def _restore_older(self, files: Sequence[Path], outstanding: Mapping[str, range]) -> None:
        """A file as it was when it was half as long."""
        path = self._dice.choice(files)
        if path.suffix == ".gz":
            return
        self._take_all(path, outstanding)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        lines = data.splitlines(keepends=True)
        older = b"".join(lines[: len(lines) // 2])
        if self._dice.random() < 0.5:
            if path == self._current():
                # To the next start the folder looks like a copy, of which nothing is set aside.
                self._make_unsure(outstanding)
            copy = path.with_name("backup")
            self._write(copy, older)
            self._rename(copy, path)
        else:
            path.write_bytes(older)

    def _remove_journal(self, _files: Sequence[Path], outstanding: Mapping[str, range]) -> None:
        self._make_unsure(outstanding)
        (self._folder / f".{self._pattern}.journal").unlink(missing_ok=True)

    # -- how -----------------------------------------------------------------------------------

    def _current(self) -> Path:
        """The file that is written to."""
        entries: Sequence[Entry | Gap] = ()
        with contextlib.suppress(FileNotFoundError):
            entries = read_entries(self._folder, self._pattern)
        return self._folder / (KnownFiles.of_journal(entries).current or "none")

    def _make_unsure(self, outstanding: Mapping[str, range]) -> None:
        for client, numbers in outstanding.items():
            self._mark(f"unsure {client} {numbers.stop}")

    def _take_all(self, path: Path, outstanding: Mapping[str, range]) -> None:
        try:
            data = read_file(path)
        except (FileNotFoundError, EOFError):
            data = b""
        self._take(data, outstanding)

    def _take(self, data: bytes, outstanding: Mapping[str, range]) -> None:
        for match in RECORD.finditer(data):
            self._mark(f"theirs {match[1].decode()} {match[2].decode()}")
        for client, numbers in outstanding.items():
            for number in numbers:
                self._mark(f"theirs {client} {number}")

    def _wait_for_another(self, path: Path) -> None:
        """Wait until the daemon writes to another file; so far it goes on with the moved one."""
        if self._hang_up is None:
            return
        if self._dice.random() < 0.5:
            self._hang_up(signal.SIGHUP)
        deadline = time.monotonic() + _REOPENED_S
        while not path.exists() and self._current() == path:
            if time.monotonic() > deadline:
                raise AssertionError(f"{path.name} was moved, and the daemon went on writing there")
            time.sleep(0.002)

    def _rename(self, path: Path, target: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.rename(target)

    def _write(self, path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)

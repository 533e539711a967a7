"""Files after the death of the machine: what was synced is there, the rest is cut off cleanly."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logd.outputs.files import journal, resume
from logd.outputs.files.journalentries import MAGIC, decode_entries, encode_entry
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import RotationPolicy
from tests.outputs.output_making import (
    CLIENT,
    Clock,
    entries_of,
    log_files,
    make_settings,
    numbered,
)

JOURNAL = ".app_%d.log.journal"


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start of an output finds the machine started anew; journals are replaced early."""
    numbers = itertools.count()
    monkeypatch.setattr(resume, "boot_id", lambda: f"boot {next(numbers)}")
    monkeypatch.setattr("logd.outputs.files.held.boot_id", lambda: f"boot {next(numbers)}")
    monkeypatch.setattr(journal, "COMPACT_BYTES", 700)
    # What is on disk is the test's to say; really waiting for it would only take time.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("os.fdatasync", lambda descriptor: None)


class Machine:
    """A folder and what of it is on disk for certain."""

    def __init__(self, naming: str) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.naming = naming
        self.clock = Clock()
        self.synced_sizes: dict[int, int] = {}
        self.synced_journal = b""
        self.output = self.start()

    def start(self) -> FileOutput:
        """Open the output; what it finds and makes then is on disk when it returns."""
        self.output = FileOutput(
            str(self.folder / "app_%d.log"),
            make_settings(self.folder, rotation=RotationPolicy(lines=7), naming=self.naming),
            clock=self.clock,
        )
        self.marks = self.output.open()
        self.note_synced()
        assert self.output._log is not None
        syncing = self.output._log.held.syncing
        sync = syncing.journal_now

        def sync_and_note() -> None:
            sync()
            state = (self.folder / JOURNAL).stat()
            if state.st_ino in self.synced_sizes:
                self.synced_sizes[state.st_ino] = state.st_size
                self.synced_journal = (self.folder / JOURNAL).read_bytes()

        syncing.journal_now = sync_and_note  # type: ignore[method-assign]
        return self.output

    def sync(self) -> None:
        """Sync, and note what may not be lost any more."""
        self.output.sync()
        self.note_synced()

    def note_synced(self) -> None:
        """Everything there is now is on disk."""
        self.synced_sizes = {
            path.stat().st_ino: path.stat().st_size for path in self.folder.iterdir()
        }
        self.synced_journal = (self.folder / JOURNAL).read_bytes()

    def die(self, dice: random.Random) -> None:
        """Lose any part of what was not synced: ends of files, stretches in them, whole files."""
        assert self.output._log is not None
        self.output._log.janitor.close()
        self.output._log._closing.close()
        self.output._log = None
        for path in sorted(self.folder.iterdir()):
            if path.suffix == ".log":
                kept = self.synced_sizes.get(path.stat().st_ino)
                if kept is None and dice.random() < 0.3:
                    path.unlink()
                else:
                    lose_end(path, kept or 0, dice)
        path = self.folder / JOURNAL
        kept = self.synced_sizes.get(path.stat().st_ino)
        if kept is None and dice.random() < 0.5:
            # It was replaced since the last sync, and the renaming was lost.
            path.write_bytes(self.synced_journal)
            return
        if kept is None:
            # The snapshot was synced before the renaming.
            first = next(decode_entries(path.read_bytes()))
            kept = len(MAGIC) + len(encode_entry(first))
        lose_end(path, kept, dice)


def lose_end(path: Path, kept: int, dice: random.Random) -> None:
    """Damage a file behind what was synced of it, or spare it."""
    size = path.stat().st_size
    if size == kept or dice.random() < 0.3:
        return
    if dice.random() < 0.7:
        size = dice.randint(kept, size)
        os.truncate(path, size)
    if size > kept and dice.random() < 0.5:
        start = dice.randrange(kept, size)
        with path.open("r+b") as file:
            file.seek(start)
            file.write(bytes(min(size - start, 50)))


@pytest.mark.parametrize("naming", ["ring", "date"])
def test_machine_death_at_any_state_of_the_disk(naming: str, boots: None) -> None:
    """Whatever was not synced is lost in part: no record twice, none missing, none half there."""

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        machine = Machine(naming)
        try:
            sent = acked = 0
            for _ in range(data.draw(st.integers(1, 3), label="deaths")):
                for _ in range(data.draw(st.integers(0, 8), label="writes")):
                    count = data.draw(st.integers(1, 10), label="records")
                    machine.output.write([numbered(sent + 1, count)])
                    machine.clock.now += 1
                    sent += count
                    if data.draw(st.booleans(), label="sync"):
                        machine.sync()
                        acked = sent
                machine.die(random.Random(data.draw(st.integers(0, 1 << 32), label="damage")))
                machine.start()
                assert acked <= machine.marks.get(CLIENT, 0) <= sent
                sent = acked = machine.marks.get(CLIENT, 0)
                assert all_entries(machine) == expected(sent)
            machine.output.write([numbered(sent + 1, 20)])
            machine.output.close()
            assert all_entries(machine) == expected(sent + 20)
        finally:
            machine.output.close()
            shutil.rmtree(machine.folder)

    check()


def all_entries(machine: Machine) -> list[str]:
    """All messages in the order of the files."""
    return entries_of(log_files(machine.folder))


def expected(count: int) -> list[str]:
    """All messages that the client sent."""
    return [f"0123 record {number}" for number in range(1, count + 1)]

"""Records a workload, takes the power away at random moments, and counts what went wrong."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.powerloss.disk import Disk, Order, State, as_operations, put
from tests.chaos.powerloss.recording import Runner
from tests.chaos.powerloss.trace import Operation, read_trace

SHOWN = 5


@dataclass
class Recording:
    """A run: what made the folder that it found, and what it did."""

    before: list[Operation]
    operations: list[Operation]


@dataclass
class Tally:
    """What came out.

    Attributes:
        moments: how often power was lost.
        faulty: after how many of these something was wrong.
        examples: moment, and what was wrong.
    """

    moments: int = 0
    faulty: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept."""
        return not self.faulty and self.moments > 0

    def __str__(self) -> str:
        text = f"{self.moments} moments of power loss: {self.faulty} with faults"
        return "\n    ".join([text, *self.examples])

    def add(self, where: str, faults: list[str]) -> None:
        """Count a moment."""
        self.moments += 1
        if faults:
            self.faulty += 1
            if len(self.examples) < SHOWN:
                self.examples.append(f"{where}: {'; '.join(faults)}")


class PowerLoss:
    """Takes the power from one workload.

    Args:
        runner: runs it.
        workload: its name and settings, see `workloads.make_workload`.
        folder: for what is recorded and replayed.
        seed: repeats the choices, as far as the workload repeats its own.
    """

    def __init__(
        self, runner: Runner, workload: Mapping[str, Any], folder: Path, seed: int
    ) -> None:
        self._runner = runner
        self._workload = workload
        self._folder = folder
        self._dice = random.Random(seed)
        self._made = 0
        self.tally = Tally()

    def losses(self, moments: int, order: Order, *, deaths: int = 1, faults: str = "") -> Tally:
        """Record one run and lose power at random moments of it.

        Args:
            moments: how many.
            order: how much order the file system keeps.
            deaths: up to so many one after the other, before the check.
            faults: what the recorder injects, see `recorder.c`.
        """
        root, first = self._recorded({}, 0, [], faults)
        for _ in range(moments):
            recording = first
            for _ in range(self._dice.randint(0, deaths - 1)):
                state, marks, _ = self._lose(recording, root, order)
                recording = self._recorded(state, root, marks, "")[1]
            state, marks, where = self._lose(recording, root, order)
            self.tally.add(f"{order}, {where}", self._checked(state, root, marks))
        return self.tally

    def again(self, files: Path) -> list[str]:
        """Check the state that an earlier check, perhaps of another process, found wrong."""
        state, root, marks = pickle.loads((files / "state").read_bytes())
        # New files must not have inodes of those that the journal knows.
        self._made += 1 << 16
        return self._checked(state, root, marks)

    def _lose(self, recording: Recording, root: int, order: Order) -> tuple[State, list[str], str]:
        done = recording.operations
        moment = self._dice.randint(0, len(done))
        disk = Disk([*recording.before, *done[:moment]], root, order)
        return disk.left(self._dice), disk.marks, f"operation {moment} of {len(done)}"

    def _recorded(
        self, state: State, root: int, marks: list[str], faults: str
    ) -> tuple[int, Recording]:
        """Run the workload on a state; returns the folder's inode and what was done."""
        folder, files = self._fresh()
        inodes = put(state, folder, root) if state else {}
        if not root:
            root = folder.stat().st_ino
        environment = {
            **self._environment(files, {**inodes, folder.stat().st_ino: root}),
            "POWERLOSS_ROOT": str(folder),
            "POWERLOSS_TRACE": str(files / "trace"),
            "POWERLOSS_FAULTS": faults,
        }
        trouble = self._do("run", folder, files, environment, marks)
        assert not trouble, trouble
        before = as_operations(state, root) + [Operation("M", 0, name=mark) for mark in marks]
        recording = Recording(before, list(read_trace(files / "trace")))
        shutil.rmtree(files)
        return root, recording

    def _checked(self, state: State, root: int, marks: list[str]) -> list[str]:
        folder, files = self._fresh()
        environment = self._environment(files, put(state, folder, root))
        faults = self._do("check", folder, files, environment, marks)
        if faults:
            # What was on disk, for whoever looks into it, or for `again`.
            (files / "before").mkdir()
            put(state, files / "before", root)
            (files / "state").write_bytes(pickle.dumps((state, root, marks)))
        else:
            shutil.rmtree(files)
        return [f"{files}: {fault}" for fault in faults]

    def _fresh(self) -> tuple[Path, Path]:
        self._made += 1
        files = self._folder / f"{self._made:04}"
        folder = files / "root"
        folder.mkdir(parents=True)
        return folder, files

    def _environment(self, files: Path, inodes: Mapping[int, int]) -> dict[str, str]:
        # What the system numbers anew must not look like a file of an earlier folder.
        shown = {0: self._made << 40, **inodes}
        (files / "inodes").write_text("".join(f"{new} {old}\n" for new, old in shown.items()))
        (files / "boot").write_text(f"boot {self._made}\n")
        return {
            "POWERLOSS_INODES": str(files / "inodes"),
            "POWERLOSS_BOOT": str(files / "boot"),
        }

    def _do(
        self,
        what: str,
        folder: Path,
        files: Path,
        environment: Mapping[str, str],
        marks: list[str],
    ) -> list[str]:
        job = {
            "do": what,
            "workload": self._workload,
            "folder": str(folder),
            "result": str(files / "result"),
            "environment": environment,
            "marks": marks,
        }
        (files / "job").write_text(json.dumps(job))
        return self._runner.do(job)

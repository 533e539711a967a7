"""What the benchmarks find: samples of contenders, ratios between them, goals, one table."""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tests.bench.debian import PeerMissing
from tests.bench.processes import ContenderFailed

_Run = TypeVar("_Run")


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        size: "full", "quick", or "smoke", which only shows that everything works.
        rounds: how often each contender has its turn.
        soak_s: seconds that the overload lasts, None for what fits the size.
    """

    size: str
    rounds: int
    soak_s: int | None = None

    def pick(self, full: int, quick: int, smoke: int) -> int:
        """The one of the three numbers that fits the size."""
        return {"full": full, "quick": quick, "smoke": smoke}[self.size]


@dataclass(frozen=True)
class Run:
    """What one run cost.

    Attributes:
        records: how many were written.
        seconds: from the first byte sent until all was stored and acknowledged.
        cpu_s: CPU of the server, all threads and children; 0 where there is no server.
        rss_bytes: its resident memory at the end, likewise.
    """

    records: int
    seconds: float
    cpu_s: float = 0.0
    rss_bytes: int = 0

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """Seconds of the server's CPU for a million records."""
        return self.cpu_s / self.records * 1e6


@dataclass
class Contest(Generic[_Run]):
    """The runs of several contenders on the same task.

    Attributes:
        runs: for each contender its runs, one a round.
        absent: for each contender without runs the reason.
    """

    runs: dict[str, list[_Run]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """A bound that a figure or a ratio has to keep."""

    bound: float
    is_floor: bool
    unit: str = ""

    def is_met_by(self, value: float) -> bool:
        """Whether the value keeps the bound."""
        return value >= self.bound if self.is_floor else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.is_floor else '<='} {figure(self.bound)} {self.unit}".rstrip()


def at_least(bound: float, unit: str = "") -> Goal:
    """The value has to be this or more."""
    return Goal(bound, is_floor=True, unit=unit)


def at_most(bound: float, unit: str = "") -> Goal:
    """The value has to be this or less."""
    return Goal(bound, is_floor=False, unit=unit)


@dataclass(frozen=True)
class Row:
    """One line of the table: what a contender did, or how it stands to a peer or a goal.

    Attributes:
        task: what was done.
        contender: who did it.
        samples: one figure a round; empty where there was none.
        unit: of the samples; "x" for ratios.
        notes: other figures, or why there is none.
        goal: what the median has to keep, None for peers and mere figures.
    """

    task: str
    contender: str
    samples: Sequence[float]
    unit: str
    notes: str = ""
    goal: Goal | None = None

    @property
    def median(self) -> float | None:
        """The median of the samples, None without any."""
        return statistics.median(self.samples) if self.samples else None

    @property
    def verdict(self) -> str:
        """Whether the goal is met, empty where there is none."""
        if self.goal is None:
            return ""
        if self.median is None:
            return "not measured"
        return "met" if self.goal.is_met_by(self.median) else "NOT MET"


def rate_rows(task: str, contest: Contest[Run], unit: str) -> Iterator[Row]:
    """What each contender reached, with CPU and memory of its server; and who is missing."""
    for name, runs in contest.runs.items():
        notes = ""
        if runs[0].cpu_s:
            cpu = statistics.median(done.cpu_per_million for done in runs)
            memory = max(done.rss_bytes for done in runs) / 2**20
            notes = f"CPU {cpu:.2f} s/million, {memory:.0f} MiB"
        yield Row(task, name, [done.rate for done in runs], unit, notes)
    for name, reason in contest.absent.items():
        yield Row(task, name, (), unit, reason)


def rates(contest: Contest[Run]) -> dict[str, list[float]]:
    """For each contender the rates of its rounds."""
    return {name: [done.rate for done in runs] for name, runs in contest.runs.items()}


def ratio_row(
    task: str,
    ours: str,
    theirs: str,
    samples: Mapping[str, Sequence[float]],
    goal: Goal | None,
) -> Row:
    """How `ours` stands to `theirs`: the ratios of the rounds that both took part in."""
    pairs = zip(samples.get(ours, ()), samples.get(theirs, ()), strict=False)
    return Row(task, f"{ours} / {theirs}", [mine / other for mine, other in pairs], "x", "", goal)


def compete(contenders: Mapping[str, Callable[[], _Run]], rounds: int) -> Contest[_Run]:
    """Let the contenders run in turn, round after round, so that a noisy moment hits all alike.

    Who is missing here or fails is out from then on, with the reason.
    """
    contest: Contest[_Run] = Contest()
    for turn in range(rounds):
        for name, run in contenders.items():
            if name in contest.absent:
                continue
            progress(f"round {turn + 1} of {rounds}: {name}")
            try:
                contest.runs.setdefault(name, []).append(run())
            except PeerMissing as exc:
                contest.absent[name] = f"left out: {exc}"
            except ContenderFailed as exc:
                contest.absent[name] = f"failed: {exc}"
    for name, reason in contest.absent.items():
        contest.runs.pop(name, None)
        progress(f"{name} {reason}")
    return contest


def progress(text: str) -> None:
    """Say on stderr what is being done."""
    sys.stderr.write(f"  {text}\n")


def figure(value: float) -> str:
    """A number as people read it: three digits, thousands grouped."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(rows: Iterable[Row]) -> str:
    """The rows as a table in Markdown, aligned for terminals."""
    head = ("task", "contender", "median (min-max)", "unit", "other", "goal", "")
    cells: list[tuple[str, ...]] = [head]
    cells += [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def as_json(rows: Iterable[Row]) -> str:
    """The rows for other programs: a list of objects."""
    return json.dumps(
        [
            {
                **{name: getattr(row, name) for name in ("task", "contender", "unit", "notes")},
                "samples": list(row.samples),
                "median": row.median,
                "goal": None if row.goal is None else str(row.goal),
                "verdict": row.verdict,
            }
            for row in rows
        ],
        indent=1,
    )


def _cells(row: Row) -> tuple[str, ...]:
    spread = "-" if row.median is None else figure(row.median)
    if len(row.samples) > 1:
        spread += f" ({figure(min(row.samples))}-{figure(max(row.samples))})"
    goal = "" if row.goal is None else str(row.goal)
    notes = textwrap.shorten(row.notes, 60, placeholder=" ...")
    return (row.task, row.contender, spread, row.unit, notes, goal, row.verdict)

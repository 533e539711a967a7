"""What an output of the daemon is, whatever stores the records behind it.

An output writes batches and, in the same step, the marks that say how far each session has been
written: a restart finds either both or neither. It knows no sockets and no event loop, and of
threads only the rules below. Its caller, `worker.py`, retries, backs off and acknowledges.

Packages can bring outputs of their own: a callable `(address: str, settings: OutputSettings) ->
Output` under the entry point group `logd.writers`; `--output NAME:ADDRESS` selects it by name.

Rules of threads: `write`, `rotate`, `reopen`, `reconfigure` and `close` are called by one thread
at a time; `sync` may run in another thread while they do, `status` in any.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Literal, Protocol

from logd.outputs.marks import MAX_MARKS
from logd.text.timestamps import DEFAULT_FORMAT

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.rotation.policy import Retention, RotationPolicy
    from logd.text.lines import LineFormat


class OutputUnusable(Exception):
    """The output can never work as configured; the text says what, where and what to do."""


class OutputLocked(OutputUnusable):
    """Another process writes there, as far as a lock tells; it may end."""


class OutputTaken(Exception):
    """Another process had the lock meanwhile, and has written there.

    What was to be written may be there: the writer starts over with what `open` returns.
    """


class SharedMarks(Protocol):
    """Marks that several daemons have in common; calls may take long, from one thread at a time."""

    def key(self, proposed: bytes) -> bytes:
        """The key for names of sessions that all these daemons use: the first one's proposal.

        Raises:
            OutputUnavailable: the store is away.
        """

    def read(self, clients: Sequence[bytes]) -> Mapping[bytes, int]:
        """How far each of these sessions has been written by any of the daemons.

        Raises:
            OutputUnavailable: the store is away.
        """

    def close(self) -> None:
        """Let go of the store; the next call connects anew."""


class OutputUnavailable(Exception):
    """The output can't take records now (database away, disk full); the same call may work later.

    Attributes:
        batches_done: how many of the batches given were written whole before the failure.
        rows_done: how many records of the batch after those were written. All the rest was not
            written at all and is to be given again.
    """

    def __init__(self, reason: str, *, batches_done: int = 0, rows_done: int = 0) -> None:
        super().__init__(reason)
        self.batches_done = batches_done
        self.rows_done = rows_done


class OutputRefused(OutputUnavailable):
    """The system does not let this process write there: a person has to mend it, then it works."""


class DeadLetters(Protocol):
    """Takes the records that an output refuses for their content."""

    def put(self, batch: Batch, row: int, reason: str, output: str) -> None:
        """Keep record `row` of `batch` on disk, with the reason; returns once it is stored."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """What outputs need to know besides their own address.

    Attributes:
        rotation: when a file or table is full.
        retention: what is kept of the full ones.
        line_format: makes text lines of batches.
        timestamp: the format of the times in them; None: they have none.
        durable: True if `sync` must survive the death of the machine (`sync = batch`).
        state_dir: folder for what the output keeps besides the log itself (spools, dead letters).
        dead_letters: takes the records that the output refuses for their content.
        compress: how closed files are compressed: "none", "gzip" or "zstd".
        naming: names of files and tables by ring number or by date.
        min_free_bytes: below this much free space the oldest files are removed; 0 switches it off.
        table_pattern: names of database tables; %d is their number.
        shared_marks: other daemons write to the same database, and clients go to any of them.
        columns: further database columns, "name:type", such as "user:String(64)".
        text_index: whether new tables get an index of the texts in their messages.
        engine_durable: "always" if only an engine will do that syncs before it acknowledges.
        max_sessions: how many sessions' marks are kept at most; those unseen for a day go anyway.
        has_standby: whether another daemon goes on with the same log as soon as it has the lock.
    """

    rotation: RotationPolicy
    retention: Retention
    line_format: LineFormat
    durable: bool
    state_dir: FilePath
    dead_letters: DeadLetters
    compress: Literal["none", "gzip", "zstd"] = "none"
    naming: Literal["ring", "date"] = "ring"
    min_free_bytes: int = 0
    table_pattern: str = "log_%d"
    shared_marks: bool = False
    columns: Sequence[str] = ()
    text_index: bool = False
    engine_durable: Literal["always", "lazy"] = "always"
    max_sessions: int = MAX_MARKS
    has_standby: bool = False
    timestamp: str | None = DEFAULT_FORMAT


@dataclass
class OutputStatus:
    """What an operator wants to know of an output.

    Attributes:
        name: what it is called in messages, e.g. "file logs/app_%d.log".
        current: the file or table now written to.
        lines: records in `current`.
        size: bytes in `current`; 0 if the store does not tell.
        kept_size: bytes in all files or tables of the output; None if it does not know.
        kept_since: when its oldest record was logged, in seconds since the epoch; None: not known.
        written: records written since the start.
        rotations: how often it went on to the next file or table since the start.
        last_error: text and time (seconds since the epoch) of the last failure, None without one.
        details: anything else, as text.
        measures: what else can be measured, by the end of a metric's name: "ack_p50_seconds".
        position: where the next record goes, for readers of what was written so far:
            {"file": absolute path, "size": bytes} or {"table": name, "id": the highest one so
            far}; empty if it can't be read back. Exact in the writing thread.
    """

    name: str
    current: str = ""
    lines: int = 0
    size: int = 0
    kept_size: int | None = None
    kept_since: float | None = None
    written: int = 0
    rotations: int = 0
    last_error: tuple[str, float] | None = None
    details: dict[str, str] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    position: dict[str, str | int] = field(default_factory=dict)


class Output(ABC):
    """One place that records are written to. Made closed; `open` before anything else.

    Attributes:
        name: what it is called in messages, e.g. "file logs/app_%d.log".
        shared_key: set if clients may go to other daemons that write to the same place, and each
            record counts once: what the names of sessions are made with, at all of them. Then
            nothing of a client's session waits on this daemon's disk, all that filters leave out
            is told (`Batch.of_none`), and there is no other output.
        is_quick: `write` mostly takes less time than to wake a thread for it, and may be called by
            any thread.
    """

    name: str
    shared_key: bytes | None = None
    is_quick = False

    @abstractmethod
    def open(self) -> Mapping[bytes, int]:
        """Take up where the last run stopped, repairing what a crash left.

        Returns:
            The marks: session's client id -> highest sequence number written.

        Raises:
            OutputUnusable: wrong address, no permission, another daemon has it.
            OutputUnavailable: might work later (a database that is starting); `OutputRefused` once
                somebody has given permission.
        """

    @abstractmethod
    def write(self, batches: Sequence[Batch]) -> Sequence[Batch] | None:
        """Append batches, in order, with the marks they carry (`batch.client`, `batch.last`).

        A batch without records (`Batch.of_none`) is a mark alone; it counts no earlier than what
        stands before it.

        The caller has cut off what the marks already hold. When it returns the records survive
        the death of this process, whole and exactly once. Records refused for their content went
        to the dead letters and count as written.

        Returns:
            What was written, if that is less than what was given: others have stored the rest.

        Raises:
            OutputUnavailable: part or nothing was written, as its attributes say; the rest is to
                be given again later.
            OutputTaken: another daemon went on with the same log; only if `has_standby` is set.
        """

    def sync(self) -> None:
        """Make all that `write` returned for before this call survive the death of the machine."""

    @abstractmethod
    def forget(self, clients: Sequence[bytes]) -> None:
        """Drop the marks of sessions that are known to be gone."""

    def rotate(self) -> None:
        """Go on to the next file or table now, whatever the policy says."""

    def reopen(self) -> None:
        """Open the current file again under its name (after logrotate moved it away)."""

    def tick(self, now: float) -> None:
        """Do what time demands at `now` (seconds since the epoch): time rotation, retention."""

    @abstractmethod
    def status(self) -> OutputStatus:
        """A snapshot for people; cheap, from any thread."""

    @abstractmethod
    def close(self) -> None:
        """Sync and close; the next `open` finds a clean state. Does nothing when closed."""

"""Makes outputs, their queues on disk and the workers that feed them; opens what it made.

A start makes all of them by it, a reload those that are new, a store the ring of each partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from logd.daemon.sessionkeys import SessionKeys
from logd.daemon.wanted import Chosen, chooser_of, output_settings
from logd.errors import StartupError
from logd.outputs import registry
from logd.outputs.base import Output, OutputUnavailable, OutputUnusable, SharedMarks
from logd.outputs.deadletters import DeadLetterFile
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.health import PROBLEM, Tell
from logd.outputs.keeper import is_own
from logd.outputs.oldspool import move_spool
from logd.outputs.queuefolder import folder_name, spool_name
from logd.outputs.queuestate import QueueFull
from logd.outputs.worker import OutputWorker
from logd.settings.loading import ConfigError
from logd.settings.table import Config

if TYPE_CHECKING:
    from logd.daemon.partition import Partition
    from logd.records.batch import Batch
    from logd.records.callpath import PathFormatter

Fatal = Callable[[BaseException], None]


class OpenedQueue(NamedTuple):
    """A queue on disk, and for each session in it the highest sequence number."""

    queue: DiskQueue
    marks: Mapping[bytes, int]


@dataclass
class OutputMaker:
    """Makes outputs and the workers that feed them.

    Attributes:
        state: the folder for spools and dead letters; the same as long as the daemon runs.
        dead_letters: takes the records that outputs refuse for their content.
        on_problem, on_fatal: see `OutputWorker`.
        session_keys: what sessions are called in marks.
        shared: marks that other daemons have in common with this one; None without such.
    """

    state: Path
    dead_letters: DeadLetterFile
    on_problem: Tell
    on_fatal: Fatal
    session_keys: SessionKeys = field(default_factory=SessionKeys)
    shared: SharedMarks | None = None

    def _damaged(self, text: str) -> None:
        self.on_problem(PROBLEM, text)

    def opened(self, spec: str, output: Output) -> Mapping[bytes, int]:
        """Open an output; returns its marks.

        Raises:
            StartupError: it can't be opened; one of `OutputUnavailable` might later.
        """
        try:
            return self.session_keys.marks(output.open())
        except (OutputUnusable, OutputUnavailable, OSError) as exc:
            raise StartupError(f"output {registry.shown(spec)}: {exc}") from exc

    def opened_or_away(
        self, spec: str, output: Output, config: Config
    ) -> Mapping[bytes, int] | StartupError:
        """Open an output; or why it is away, if its queue on disk takes what comes.

        Raises:
            StartupError: it can never work as configured, or nothing could take its records.
        """
        try:
            return self.opened(spec, output)
        except StartupError as exc:
            is_away = isinstance(exc.__cause__, OutputUnavailable)
            is_held = output.shared_key is not None or config.shared_marks  # by its clients
            if not is_away or not (config.queue_disk_bytes or is_held):
                raise
            return exc

    def output(self, spec: str, chosen: Chosen, *, is_ring: bool = False) -> Output:
        """The output that the settings call `spec`, not opened.

        Args:
            spec: "NAME:ADDRESS".
            chosen: what it is made with.
            is_ring: whether it is a partition's, that another daemon may take over.

        Raises:
            ConfigError: it can't be used as configured.
        """
        try:
            chooser_of(chosen.select)
            settings = output_settings(chosen.config, self.state, self.dead_letters)
            return registry.create(spec, replace(settings, has_standby=is_ring))
        except OutputUnusable as exc:
            raise ConfigError([f"output {registry.shown(spec)}: {exc}"]) from exc

    def queue(self, name: str, config: Config, formatter: PathFormatter) -> OpenedQueue:
        """The queue on disk of the output that is shown as `name`, opened.

        Raises:
            StartupError: it can't be read, or another process has it.
        """
        queue = DiskQueue(
            self.state / folder_name(name),
            name,
            limit_bytes=config.queue_disk_bytes,
            min_free_bytes=config.min_free_bytes,
            durable=config.sync == "batch",
            formatter=formatter,
            on_damage=self._damaged,
        )
        try:
            spool = self.state / spool_name(name)
            marks = queue.open()
            marks |= move_spool(spool, queue, self.session_keys.named, self._damaged)
        except (OutputUnusable, OSError, QueueFull) as exc:
            queue.close()
            raise StartupError(f"output {name}: its queue on disk: {exc}") from exc
        return OpenedQueue(queue, marks)

    def worker(
        self,
        output: Output,
        marks: Mapping[bytes, int] | None,
        queue: DiskQueue,
        chosen: Chosen,
    ) -> OutputWorker:
        """A worker for it, not started; `marks` as `OutputWorker` takes them."""
        config = chosen.config
        return OutputWorker(
            output,
            marks,
            queue,
            durable=config.sync == "batch",
            choose=chooser_of(chosen.select),
            read_marks=self.session_keys.marks,
            # What waits on disk is acknowledged, and other daemons would not know.
            keeps=is_own if config.shared_marks or output.shared_key is not None else None,
            on_problem=self.on_problem,
            on_fatal=self.on_fatal,
        )

    def ring_worker(
        self,
        output: Output,
        marks: Mapping[bytes, int] | None,
        queue: DiskQueue,
        config: Config,
        partition: Partition,
        keeps: Callable[[Batch], bool],
    ) -> OutputWorker:
        """A worker for the ring of a partition, which has all that is not written yet.

        Args:
            output: the ring.
            marks: its marks; None if the worker is to open it.
            queue: for what the daemon itself has to say.
            config: the settings.
            partition: what is told when the ring is open, and when it is another daemon's.
            keeps: tells what the daemon itself has to say.
        """
        return OutputWorker(
            output,
            marks,
            queue,
            durable=config.sync == "batch",
            read_marks=partition.opened,
            keeps=keeps,
            on_taken=partition.taken,
            on_problem=self.on_problem,
            on_fatal=self.on_fatal,
        )

    def share(self, spec: str) -> None:
        """Name sessions as all daemons do that share marks with the output `spec`.

        If it is away now, sessions can't be opened until it is there.

        Raises:
            StartupError: it can never work as configured.
        """
        from logd.outputs.tables.sharedmarks import TableMarks

        try:
            self.shared = TableMarks(spec.partition(":")[2])
            self.session_keys.learn(self.shared.key(self.session_keys.key))
        except OutputUnavailable:
            self.session_keys.is_known = False
        except OutputUnusable as exc:
            raise StartupError(f"output {registry.shown(spec)}: {exc}") from exc

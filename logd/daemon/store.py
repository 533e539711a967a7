"""A daemon that takes records from a source: its rings, one for each partition, and their readers.

What it is made of is the same as for a daemon that listens. Only the way in differs: no sockets for
senders, and in place of the pipeline a thread for each partition (`partition.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from logd.daemon.assembly import Assembled, make_server
from logd.daemon.outputmaker import Fatal, OutputMaker
from logd.daemon.partition import Partition
from logd.daemon.plugins import load
from logd.daemon.sessionkeys import session_keys
from logd.daemon.statefolder import make_state_folder
from logd.daemon.wanted import Chosen
from logd.engine.base import Source, SourceSettings
from logd.errors import StartupError
from logd.outputs import registry
from logd.outputs.base import OutputLocked, OutputRefused, OutputUnavailable, OutputUnusable
from logd.outputs.deadletters import DeadLetterFile
from logd.outputs.disk import make_folder
from logd.outputs.fanout import Outputs
from logd.outputs.health import Tell
from logd.outputs.leftbehind import LeftBehind, left_behind
from logd.settings.loading import ConfigError
from logd.settings.secrets import reveal

if TYPE_CHECKING:
    from logd.daemon.runner import Companion
    from logd.outputs.base import Output
    from logd.outputs.work import Work
    from logd.outputs.worker import OutputWorker
    from logd.records.batch import Batch
    from logd.server import LogServer
    from logd.settings.table import Config

logger = logging.getLogger(__name__)

GROUP = "logd.sources"
"""The entry points' group."""

LETTERS = "dead-letters"


class StoreOutputs(Outputs):
    """The rings of a store; what the daemon has to say itself goes to the first that is open."""

    def __init__(self) -> None:
        super().__init__([])
        self.partitions: Sequence[Partition] = ()

    def submit(self, work: Work) -> None:
        """Queue the daemon's own `work`; it is dropped if no ring is this daemon's."""
        self._number(work)
        work.expect(1)
        for partition, worker in zip(self.partitions, self.workers, strict=True):
            if partition.counts.is_reading:
                worker.submit(work)
                return
        work.finish_one()

    def is_mine(self, batch: Batch) -> bool:
        """Whether a batch is the daemon's own, and not from the source."""
        return batch.client == self._session

    def stop(self) -> None:
        """Stop reading, then the workers."""
        for partition in self.partitions:
            partition.stop()
        super().stop()


class SourceReading:
    """The companion that starts the partitions; the outputs' stop ends them."""

    def __init__(self, source: Source, partitions: Sequence[Partition]) -> None:
        self._source = source
        self._partitions = partitions

    async def start(self) -> None:
        """Begin to read."""
        for partition in self._partitions:
            partition.start()

    async def stop(self) -> None:
        """End the connection."""
        await asyncio.to_thread(self._source.close)


@dataclass(kw_only=True)
class AssembledStore(Assembled):
    """What a daemon with a source is made of.

    Attributes:
        source: where records come from.
    """

    source: Source

    @property
    def way_in(self) -> str:  # type: ignore[override]  # read only here
        """What is read, for people."""
        numbers = ", ".join(str(partition.number) for partition in self.partitions)
        return f", reading partitions {numbers} of {self.source.name}"

    def companions(self) -> list[Companion]:
        """What starts to read when the daemon does."""
        return [SourceReading(self.source, self.partitions)]

    def left_behind(self) -> list[LeftBehind]:
        """See `Assembled.left_behind`; the workers are called by what is shown."""
        return left_behind(self.maker.state, self.workers)

    def close(self) -> None:
        """Close all that was never started."""
        super().close()
        self.source.close()


class PartitionRing(NamedTuple):
    """The log of one partition.

    Attributes:
        name: for people; no other ring has it.
        output: where it is, not opened.
        config: the settings it is made with.
    """

    name: str
    output: Output
    config: Config


def make_source(config: Config) -> Source:
    """The source of the settings, not opened.

    Raises:
        ConfigError: it can't be used as configured.
    """
    spec = reveal(config.source or "")
    name, _, address = spec.partition(":")
    settings = SourceSettings(durable=config.engine_durable, keep_s=config.engine_keep_s)
    try:
        source: Source = registry.brought("source", name, GROUP)(address, settings)
    except OutputUnusable as exc:
        raise ConfigError([f"source {registry.shown(spec)}: {exc}"]) from exc
    return source


def made_outputs(
    config: Config, partitions: Sequence[int], maker: OutputMaker
) -> dict[int, PartitionRing]:
    """The rings of the partitions, not opened.

    Raises:
        ConfigError: one can't be used as configured.
    """
    ((section, own),) = config.each_output()
    made = {}
    for partition in partitions:
        spec = section.spec.replace("%p", str(partition))
        pattern = own.table_pattern.replace("%p", str(partition))
        chosen = Chosen(replace(own, table_pattern=pattern))
        # A ring's tables are no predecessors of another's: each has notes of its own.
        place = replace(maker, state=maker.state / f"partition-{partition}")
        output = place.output(spec, chosen, is_ring=True)
        if output.shared_key is not None:
            named = f"output {registry.shown(spec)}"
            raise ConfigError([f"{named} can't store records of a source: choose file or db"])
        made[partition] = PartitionRing(
            f"{registry.shown(spec)} partition {partition}", output, own
        )
    return made


def assemble(
    config: Config,
    on_problem: Tell,
    on_fatal: Fatal,
    server_in_force: Callable[[], LogServer],
) -> AssembledStore:
    """Load observers, open the rings that are free, connect to the source.

    Raises:
        StartupError: something can't be used as configured; what was opened is closed again.
    """
    filters = load(config.filter, "filter")
    observers = load(config.observer, "observer")
    outputs = StoreOutputs()
    server = make_server(config, outputs, filters, observers)
    state = config.state_folder
    maker = OutputMaker(state, DeadLetterFile(state / "dead-letters.jsonl"), on_problem, on_fatal)
    source = make_source(config)
    made = made_outputs(config, source.partitions, maker)
    make_state_folder(config)
    maker.session_keys = session_keys(state)
    workers: dict[str, OutputWorker] = {}
    partitions: list[Partition] = []
    with ExitStack() as undo:
        for number, (name, output, own) in made.items():
            partition = Partition(
                number,
                source.reading(number),
                server_in_force,
                state / LETTERS,
                on_problem,
                on_fatal,
                max_sessions=config.max_sessions,
            )
            make_folder(state / f"partition-{number}")
            undo.callback(output.close)
            marks = _opened(name, output, config)
            opened = maker.queue(name, own, server)
            undo.callback(opened.queue.close)
            if marks is not None:
                partition.opened(marks)
            worker = maker.ring_worker(output, marks, opened.queue, own, partition, outputs.is_mine)
            partition.feed(worker)
            partitions.append(partition)
            workers[name] = worker
        undo.callback(source.close)
        _open_source(source)
        undo.pop_all()
    outputs.workers, outputs.partitions = list(workers.values()), partitions
    return AssembledStore(
        *(config, maker, server, outputs, workers, {}, filters, observers, partitions),
        source=source,
    )


def _opened(name: str, output: Output, config: Config) -> Mapping[bytes, int] | None:
    """Open a ring; None if another daemon has it, or it is away: the worker opens it then."""
    try:
        return output.open()
    except OutputLocked as exc:
        if config.standby == "fail":
            raise StartupError(f"output {name}: {exc}") from exc
        logger.info(
            "output %s: another daemon writes to it, this one waits until it is free: %s", name, exc
        )
    except OutputRefused as exc:
        raise StartupError(f"output {name}: {exc}") from exc
    except OutputUnavailable as exc:
        logger.warning("output %s: %s; it is opened as soon as it is there", name, exc)
    except (OutputUnusable, OSError) as exc:
        raise StartupError(f"output {name}: {exc}") from exc
    return None


def _open_source(source: Source) -> None:
    try:
        source.open()
    except OutputUnavailable as exc:
        logger.warning("source %s: %s; it is read as soon as it is there", source.name, exc)
    except OutputUnusable as exc:
        raise StartupError(f"source {source.name}: {exc}") from exc

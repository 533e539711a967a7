"""Makes the parts of a daemon from its settings: pipeline, outputs, limits, TLS."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import ssl
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from logd.daemon.peers.limits import Limits
from logd.daemon.peers.tls import server_context
from logd.daemon.plugins import close_callables, load_callables
from logd.daemon.sessionkeys import CLIENT_PREFIX, SessionKeys, session_keys
from logd.errors import StartupError
from logd.outputs import registry
from logd.outputs.base import (
    Output,
    OutputRefused,
    OutputSettings,
    OutputUnavailable,
    OutputUnusable,
    SharedMarks,
)
from logd.outputs.deadletters import DeadLetterFile
from logd.outputs.disk import make_folder
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.fanout import Outputs
from logd.outputs.health import PROBLEM, Tell
from logd.outputs.keeper import is_own
from logd.outputs.leftbehind import LeftBehind, left_behind
from logd.outputs.oldspool import move_spool
from logd.outputs.queuefolder import folder_name, spool_name
from logd.outputs.queuestate import QueueFull
from logd.outputs.worker import Choose, OutputWorker
from logd.rotation.policy import Retention, RotationPolicy, Schedule
from logd.server import LogServer, ObserverAlreadyAdded
from logd.settings.loading import ConfigError
from logd.settings.secrets import reveal
from logd.settings.table import OUTPUT_SETTINGS, Config
from logd.text.formatter import Formatter
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.logfmtlines import LogfmtFormat

if TYPE_CHECKING:
    from logd.daemon.partition import Partition
    from logd.daemon.runner import Companion
    from logd.records.batch import Batch
    from logd.records.callpath import PathFormatter

logger = logging.getLogger(__name__)

Fatal = Callable[[BaseException], None]


Callables = dict[str, Callable[..., Any]]
"""Filters or observers by the text of the settings that named them, in their order."""

SERVER_SETTINGS = ("filter", "observer", "timestamp", "file_names")
"""The settings that the `LogServer` is made with."""


class DaemonLogServer(LogServer):
    """The daemon's: who looks for errors finds those of filters and observers, too."""

    CAT_INTERNALERROR = PROBLEM


@dataclass
class Assembled:
    """A pipeline with its opened outputs, ready to be run; a reload changes it in place.

    Attributes:
        config: the settings it was made from.
        workshop: makes its outputs.
        server: filters, observers and the writer.
        outputs: the writer: all outputs with their workers, not started.
        workers: the same workers, by what the settings call their output.
        marks: client id -> sequence number that every output holds, at the start.
        filters, observers: to be closed at the end.
        partitions: what is read from a source; none if senders are listened to.
        way_in: where records come from if not from senders, for people.
    """

    config: Config
    workshop: Workshop
    server: LogServer
    outputs: Outputs
    workers: dict[str, OutputWorker]
    marks: Mapping[bytes, int]
    filters: Callables
    observers: Callables

    partitions: Sequence[Partition] = ()
    way_in = ""

    def companions(self) -> list[Companion]:
        """What else runs as long as the daemon serves."""
        return []

    @property
    def is_shared(self) -> bool:
        """Whether clients may go to other daemons that write to the same place."""
        outputs = (worker.output for worker in self.workers.values())
        return self.config.shared_marks or any(one.shared_key is not None for one in outputs)

    def left_behind(self) -> list[LeftBehind]:
        """What waits on disk for outputs that the settings do not name."""
        return left_behind(self.workshop.state, map(registry.shown, self.workers))

    def close(self) -> None:
        """Close outputs that were never started."""
        for worker in self.outputs.workers:
            worker.abandon()

    def close_plugins(self, timeout_s: float) -> None:
        """End the filters' and observers' own threads, within `timeout_s` seconds."""
        end_callables([*self.filters.values(), *self.observers.values()], timeout_s)


class Chosen(NamedTuple):
    """What an output is made with.

    Attributes:
        config: the settings as they are for this output.
        select: which records it gets, as text; None for all.
    """

    config: Config
    select: str | None = None

    def is_like(self, other: Chosen) -> bool:
        """Whether an output made with the other would be the same."""
        return self.select == other.select and not changed(
            OUTPUT_SETTINGS, self.config, other.config
        )


class OpenedQueue(NamedTuple):
    """A queue on disk, and for each session in it the highest sequence number."""

    queue: DiskQueue
    marks: Mapping[bytes, int]


@dataclass
class Workshop:
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
            is_kept = config.queue_disk_bytes or output.shared_key is not None
            if not is_away or not is_kept or config.shared_marks:
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
            _choose(chosen.select)
            settings = _settings(chosen.config, self.state, self.dead_letters)
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
            # What waits here is acknowledged, and the other daemons would not know.
            limit_bytes=0 if config.shared_marks else config.queue_disk_bytes,
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
            choose=_choose(chosen.select),
            read_marks=self.session_keys.marks,
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
        """Name sessions as all daemons do that share marks with the output `spec`, now open.

        Raises:
            StartupError: it is away.
        """
        from logd.outputs.tables.sharedmarks import TableMarks

        try:
            self.shared = TableMarks(spec.partition(":")[2])
            self.session_keys = SessionKeys(self.shared.key(self.session_keys.key))
        except (OutputUnusable, OutputUnavailable) as exc:
            raise StartupError(f"output {registry.shown(spec)}: {exc}") from exc


def assemble(config: Config, on_problem: Tell, on_fatal: Fatal) -> Assembled:
    """Load the filters and observers, open all outputs.

    Raises:
        StartupError: something can't be used as configured; what was opened is closed again.
    """
    filters = load(config.filter, "filter")
    observers = load(config.observer, "observer")
    outputs = Outputs([])
    server = make_server(config, outputs, filters, observers)
    state = config.state_folder
    dead_letters = DeadLetterFile(state / "dead-letters.jsonl")
    workshop = Workshop(state, dead_letters, on_problem, on_fatal)
    # All of them before anything is made on disk: a wrong pattern leaves nothing behind.
    wanted = wanted_outputs(config)
    made = [(spec, workshop.output(spec, chosen)) for spec, chosen in wanted.items()]
    check_alone(made, wanted)
    make_state_folder(config)
    workshop.session_keys = _keys_for(made, state)
    workers: dict[str, OutputWorker] = {}
    found: list[Mapping[bytes, int]] = []
    away: list[tuple[Output, StartupError]] = []
    with contextlib.ExitStack() as undo:
        for spec, output in made:
            chosen = wanted[spec]
            opened = workshop.queue(registry.shown(spec), chosen.config, server)
            undo.callback(opened.queue.close)
            came = workshop.opened_or_away(spec, output, chosen.config)
            undo.callback(output.close)
            marks = None if isinstance(came, StartupError) else came
            if isinstance(came, StartupError):
                away.append((output, came))
            found.append(_together(marks or {}, opened.marks))
            if config.shared_marks:
                _check_nothing_waits(opened, spec)
                workshop.share(spec)
            workers[spec] = workshop.worker(output, marks, opened.queue, chosen)
        _check_away(away, is_all=len(away) == len(made))
        undo.pop_all()
    outputs.workers = list(workers.values())
    return Assembled(config, workshop, server, outputs, workers, _common(found), filters, observers)


def _check_away(away: Sequence[tuple[Output, StartupError]], *, is_all: bool) -> None:
    """Say which outputs are away.

    Raises:
        StartupError: no output is there, and the system refuses one: someone has to mend that.
    """
    for _, exc in away:
        if is_all and isinstance(exc.__cause__, OutputRefused):
            raise exc
    for output, exc in away:
        place = "with its clients" if output.shared_key is not None else "on disk"
        logger.warning("%s; what comes waits %s until it is there", exc, place)


def check_alone(made: Sequence[tuple[str, Output]], wanted: Mapping[str, Chosen]) -> None:
    """See that an output that other daemons write to is the only one, and gets all records.

    What another daemon acknowledged would never be in the other outputs of this one, and what is
    not chosen would look as if it were missing.

    Raises:
        ConfigError: it is not.
    """
    for spec, output in made:
        if output.shared_key is None:
            continue
        if len(made) > 1:
            raise ConfigError([f"output {registry.shown(spec)} goes without other outputs"])
        if wanted[spec].select is not None:
            raise ConfigError([f"output {registry.shown(spec)} goes without select: set filter"])


def _keys_for(made: Sequence[tuple[str, Output]], state: Path) -> SessionKeys:
    """What sessions are called: as at all daemons that write to the same place, or here alone."""
    shared = [output.shared_key for _, output in made if output.shared_key is not None]
    return SessionKeys(shared[0]) if shared else session_keys(state)


def _check_nothing_waits(opened: OpenedQueue, spec: str) -> None:
    """See that no client was told that what waits on disk is stored: the others don't know it."""
    if any(client.startswith(CLIENT_PREFIX) for client in opened.marks):
        raise StartupError(
            f"output {registry.shown(spec)}: records of clients wait in {opened.queue.path}: "
            "start once without shared_marks, so that they are written"
        )


def load(specs: Sequence[str], kind: str, kept: Mapping[str, Callable[..., Any]] = {}) -> Callables:
    """The filters or observers that the settings name; those in `kept` are used again.

    Raises:
        StartupError: one of them can't be used.
    """
    specs = list(map(reveal, specs))
    fresh = [spec for spec in specs if spec not in kept]
    loaded = dict(zip(fresh, load_callables(fresh, kind=kind), strict=True))
    return {spec: kept[spec] if spec in kept else loaded[spec] for spec in specs}


def make_server(
    config: Config, outputs: Outputs, filters: Callables, observers: Callables
) -> LogServer:
    """The `LogServer` for these settings.

    Raises:
        StartupError: the same filter or observer is there under two names.
    """
    try:
        return DaemonLogServer(
            outputs,
            filters=filters.values(),
            observers=observers.values(),
            cfnMode=LogServer.CFN_FULL if config.file_names == "full" else LogServer.CFN_NAME,
            tsFormat=config.timestamp,
        )
    except ObserverAlreadyAdded as exc:
        raise StartupError(str(exc)) from exc


def end_callables(callables: Sequence[object], timeout_s: float) -> None:
    """Close filters and observers, within `timeout_s` seconds."""
    if not close_callables(callables, timeout_s):
        logger.warning("a filter or observer did not finish within %.0f s", timeout_s)


def changed(names: Iterable[str], old: Config, new: Config) -> bool:
    """Whether one of the settings differs."""
    return any(getattr(old, name) != getattr(new, name) for name in names)


def limits(config: Config) -> Limits:
    """The limits for peers."""
    return Limits(
        max_frame_bytes=config.max_frame_bytes,
        max_connections=config.max_connections,
        max_connections_per_peer=config.max_connections_per_peer,
        first_frame_timeout_s=config.first_frame_timeout_s,
        frame_timeout_s=config.frame_timeout_s,
        idle_timeout_s=config.idle_timeout_s,
        peer_records_per_s=config.peer_records_per_s,
        allow=[ipaddress.ip_network(network, strict=False) for network in config.allow],
        max_partial_bytes=config.queue_bytes,
    )


def tls_context(config: Config) -> ssl.SSLContext | None:
    """The context for TLS listeners; None if no certificate is set."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    return server_context(
        cert=config.tls_cert,
        key=config.tls_key,
        client_ca=config.tls_client_ca,
        client_certs=config.tls_client_certs,
        crl=config.tls_crl,
        min_version=config.tls_min_version,
    )


def wanted_outputs(config: Config) -> dict[str, Chosen]:
    """Every output of the settings by its "NAME:ADDRESS", as `registry.create` takes it.

    Raises:
        StartupError: one is there twice, or is for the partitions of a source.
    """
    wanted: dict[str, Chosen] = {}
    for section, own in config.each_output():
        if section.spec in wanted:
            shown = registry.shown(section.spec)
            raise StartupError(f"output {shown} is named twice; name it once")
        pattern = own.table_pattern if section.place == "db" else section.spec
        if config.source is None and section.place != "output" and "%p" in pattern:
            name = "table_pattern" if section.place == "db" else section.place
            raise ConfigError([f"{name} has %p, the partition of a source, and source is not set"])
        wanted[section.spec] = Chosen(own, section.select)
    return wanted


def _choose(select: str | None) -> Choose | None:
    """What chooses the records of a selection.

    Raises:
        OutputUnusable: it is no selection.
    """
    if select is None:
        return None
    # Late: few daemons need to know what a selection is.
    from logd.daemon.choosing import chooser
    from logd.query.terms import WrongSelection

    try:
        return chooser(select)
    except WrongSelection as exc:
        raise OutputUnusable(f"select: {exc}") from exc


def _settings(config: Config, state: Path, dead_letters: DeadLetterFile) -> OutputSettings:
    schedule = (
        None if config.rotate_at is None else Schedule.parse(config.rotate_at, config.rotate_utc)
    )
    return OutputSettings(
        rotation=RotationPolicy(
            lines=config.rotate_lines, size=config.rotate_size, schedule=schedule
        ),
        retention=Retention(
            count=config.rotate_count,
            age_s=config.keep_age_s,
            total_bytes=config.keep_total_bytes,
        ),
        # Each output has a layout of its own: they format in threads of their own.
        line_format=_line_format(config),
        durable=config.sync == "batch",
        state_dir=state,
        dead_letters=dead_letters,
        compress=config.compress,
        naming=config.naming,
        min_free_bytes=config.min_free_bytes,
        table_pattern=config.table_pattern,
        shared_marks=config.shared_marks,
        columns=config.columns,
        engine_durable=config.engine_durable,
    )


def _line_format(config: Config) -> LineFormat:
    if config.line_format is None:
        return LineFormat(config.timestamp)
    if config.line_format == "json":
        return JsonFormat()
    if config.line_format == "logfmt":
        return LogfmtFormat()
    try:
        return Formatter(config.line_format, config.timestamp)
    except ValueError as exc:
        raise StartupError(f"line_format: {exc}") from exc


def make_state_folder(config: Config) -> None:
    """Make the folder for dead letters and queues, or see that it is nobody else's.

    Raises:
        StartupError: it can't be used.
    """
    folder = config.state_folder
    try:
        make_folder(folder)
        if config.state_dir is None:
            _check_found_folder(folder)
    except OSError as exc:
        raise StartupError(
            f"state_dir {folder}: {exc.strerror}; make the folder, or choose another"
        ) from exc


def _check_found_folder(folder: Path) -> None:
    """See that a state folder nobody named was not put there by a stranger.

    Beside a log in a folder where others may write (`/tmp`) they could have made it first, to read
    the dead letters, or a link to lead them elsewhere.
    """
    state = folder.lstat()
    owners = (os.geteuid(), 0, folder.parent.stat().st_uid)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid not in owners:
        raise StartupError(
            f"state_dir: {folder} is a link or belongs to user id {state.st_uid}: "
            "name a folder of this daemon's own with state_dir"
        )


def _together(written: Mapping[bytes, int], queued: Mapping[bytes, int]) -> dict[bytes, int]:
    """What one output holds, with what waits for it on disk: that is stored, too."""
    clients = {*written, *queued}
    return {client: max(written.get(client, 0), queued.get(client, 0)) for client in clients}


def _common(found: Sequence[Mapping[bytes, int]]) -> dict[bytes, int]:
    """What every output holds: only that may be acknowledged or skipped."""
    if not found:
        return {}
    first, *others = found
    return {client: min(m.get(client, 0) for m in (first, *others)) for client in first}

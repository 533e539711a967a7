"""Makes the parts of a daemon that listens from its settings: pipeline, outputs, limits, TLS."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from logd.daemon.outputmaker import Fatal, OpenedQueue, OutputMaker
from logd.daemon.peers.limits import Limits
from logd.daemon.peers.tls import server_context
from logd.daemon.plugins import Callables, end_callables, load
from logd.daemon.sessionkeys import CLIENT_PREFIX, FILE, SessionKeys, session_keys
from logd.daemon.statefolder import make_state_folder
from logd.daemon.wanted import Chosen, wanted_outputs
from logd.errors import StartupError
from logd.outputs import registry
from logd.outputs.base import Output, OutputRefused
from logd.outputs.deadletters import DeadLetterFile
from logd.outputs.fanout import Outputs
from logd.outputs.health import PROBLEM, Tell
from logd.outputs.leftbehind import LeftBehind, left_behind
from logd.outputs.worker import OutputWorker
from logd.server import LogServer, ObserverAlreadyAdded
from logd.settings.loading import ConfigError
from logd.settings.table import Config

if TYPE_CHECKING:
    from logd.daemon.partition import Partition
    from logd.daemon.runner import Companion

logger = logging.getLogger(__name__)

SERVER_SETTINGS = ("filter", "observer", "timestamp", "file_names")
"""The settings that the `LogServer` is made with."""


class DaemonLogServer(LogServer):
    """The daemon's: a search for errors finds those of filters and observers, too."""

    CAT_INTERNALERROR = PROBLEM


@dataclass
class Assembled:
    """A pipeline with its opened outputs, ready to be run; a reload changes it in place.

    Attributes:
        config: the settings it was made from.
        maker: makes its outputs.
        server: filters, observers and the writer.
        outputs: the writer: all outputs with their workers, not started.
        workers: the same workers, by what the settings call their output.
        marks: client id -> sequence number that every output holds, at the start.
        filters, observers: to be closed at the end.
        partitions: what is read from a source; none if senders are listened to.
        way_in: where records come from if not from senders, for people.
    """

    config: Config
    maker: OutputMaker
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
        return left_behind(self.maker.state, map(registry.shown, self.workers))

    def close(self) -> None:
        """Close outputs that were never started."""
        for worker in self.outputs.workers:
            worker.abandon()

    def close_plugins(self, timeout_s: float) -> None:
        """End the filters' and observers' own threads, within `timeout_s` seconds."""
        end_callables([*self.filters.values(), *self.observers.values()], timeout_s)


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
    maker = OutputMaker(state, dead_letters, on_problem, on_fatal)
    # All of them before anything is made on disk: a wrong pattern leaves nothing behind.
    wanted = wanted_outputs(config)
    made = [(spec, maker.output(spec, chosen)) for spec, chosen in wanted.items()]
    check_alone(made, wanted)
    make_state_folder(config)
    maker.session_keys = _keys_for(made, state)
    workers: dict[str, OutputWorker] = {}
    found: list[Mapping[bytes, int]] = []
    away: list[tuple[Output, StartupError]] = []
    with contextlib.ExitStack() as undo:
        for spec, output in made:
            chosen = wanted[spec]
            opened = maker.queue(registry.shown(spec), chosen.config, server)
            undo.callback(opened.queue.close)
            came = maker.opened_or_away(spec, output, chosen.config)
            undo.callback(output.close)
            marks = None if isinstance(came, StartupError) else came
            if isinstance(came, StartupError):
                away.append((output, came))
            found.append(_together(marks or {}, opened.marks))
            if config.shared_marks:
                _check_nothing_waits(opened, spec)
                maker.share(spec)
            workers[spec] = maker.worker(output, marks, opened.queue, chosen)
        _tell_strangers(maker.session_keys, found, state)
        _check_away(away, is_all=len(away) == len(made), is_held=maker.shared is not None)
        undo.pop_all()
    outputs.workers = list(workers.values())
    return Assembled(config, maker, server, outputs, workers, _common(found), filters, observers)


def _check_away(
    away: Sequence[tuple[Output, StartupError]], *, is_all: bool, is_held: bool
) -> None:
    """Say which outputs are away.

    Args:
        away: outputs, and why they could not be opened.
        is_all: whether there are no others.
        is_held: whether clients keep what comes from them.

    Raises:
        StartupError: no output is there, and the system refuses one: someone has to mend that.
    """
    for _, exc in away:
        if is_all and isinstance(exc.__cause__, OutputRefused):
            raise exc
    for output, exc in away:
        place = "with the clients" if is_held or output.shared_key is not None else "on disk"
        logger.warning("%s; its records wait %s until it is there", exc, place)


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
        named = f"output {registry.shown(spec)} is shared with other daemons"
        if len(made) > 1:
            raise ConfigError([f"{named}: it must be the only output"])
        if wanted[spec].select is not None:
            raise ConfigError([f"{named}, and takes no select: set filter"])


def _keys_for(made: Sequence[tuple[str, Output]], state: Path) -> SessionKeys:
    """What sessions are called: as at all daemons that write to the same place, or here alone."""
    shared = [output.shared_key for _, output in made if output.shared_key is not None]
    return SessionKeys(shared[0]) if shared else session_keys(state)


def _tell_strangers(keys: SessionKeys, found: Sequence[Mapping[bytes, int]], state: Path) -> None:
    """Say that sessions are known by a key that is gone, with the state folder perhaps."""
    lost = {name for marks in found for name in marks if name.startswith(CLIENT_PREFIX)}
    if keys.is_new and lost:
        logger.warning(
            "%s was missing, a new one was made: the log has %d sessions by the former one; "
            "records that their clients send again may be written twice",
            state / FILE,
            len(lost),
        )


def _check_nothing_waits(opened: OpenedQueue, spec: str) -> None:
    """See that no client was told that what waits on disk is stored: the others don't know it."""
    if any(client.startswith(CLIENT_PREFIX) for client in opened.marks):
        raise StartupError(
            f"output {registry.shown(spec)}: records of clients wait in {opened.queue.path}: "
            "start once without shared_marks, so that they are written"
        )


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

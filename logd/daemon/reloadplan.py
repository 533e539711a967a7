"""What a reload is to put in force: everything that can fail is read, checked or made here.

While a plan is made the daemon goes on as it is; a mistake ends the reload, and nothing changed.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logd.daemon.assembly import SERVER_SETTINGS, limits, make_server, tls_context
from logd.daemon.plugins import Callables, end_callables, load
from logd.daemon.wanted import Chosen, changed, wanted_outputs
from logd.errors import StartupError
from logd.settings.checks import warnings
from logd.settings.loading import changes
from logd.settings.loading import reload as read_again

if TYPE_CHECKING:
    from logd.daemon.assembly import Assembled
    from logd.daemon.outputmaker import OutputMaker
    from logd.daemon.peers.limits import Limits
    from logd.outputs.base import Output
    from logd.outputs.worker import OutputWorker
    from logd.server import LogServer
    from logd.settings.loading import Changes
    from logd.settings.table import Config

PLUGINS_S = 10.0
"""How long filters and observers that go may take to end what they have running."""


@dataclass(kw_only=True)
class Plan:
    """What is to be put in force; made without changing anything.

    Attributes:
        wanted: all outputs, in the order of the settings.
        outgoing: workers to stop, by output.
        incoming: outputs to open; those that take the place of one in `outgoing` are closed.
        marks: of those of `incoming` that are open already.
    """

    config: Config
    changes: Changes
    notes: tuple[str, ...]
    filters: Callables
    observers: Callables
    server: LogServer
    limits: Limits
    tls: ssl.SSLContext | None
    wanted: Mapping[str, Chosen]
    outgoing: Mapping[str, OutputWorker]
    incoming: Mapping[str, Output]
    marks: Mapping[str, Mapping[bytes, int]]


def prepare(assembled: Assembled, plain_hosts: Sequence[str], *, needs_tls: bool) -> Plan:
    """Read and check everything, open what is new; nothing is changed yet.

    Args:
        assembled: the parts that are in force.
        plain_hosts: addresses listened on without TLS, for the warning about exposure.
        needs_tls: whether a port for TLS is open.

    Raises:
        StartupError: something can't be used.
    """
    old = assembled.config
    in_force = read_again(old)
    new = in_force.config
    with contextlib.ExitStack() as undo:
        filters = load(new.filter, "filter", assembled.filters)
        undo.callback(_end_others, filters, assembled.filters)
        observers = load(new.observer, "observer", assembled.observers)
        undo.callback(_end_others, observers, assembled.observers)
        server = assembled.server
        if changed(SERVER_SETTINGS, old, new):
            server = make_server(new, assembled.outputs, filters, observers)
        tls = tls_context(new)
        if tls is None and needs_tls:
            raise StartupError("tls_cert, tls_key: a port for TLS is open and needs both")
        wanted, incoming, outgoing = _exchanged(assembled, new)
        plan = Plan(
            config=new,
            changes=changes(old, new),
            notes=(*in_force.notes, *warnings(new, plain_hosts)),
            filters=filters,
            observers=observers,
            server=server,
            limits=limits(new),
            tls=tls,
            wanted=wanted,
            incoming=incoming,
            outgoing=outgoing,
            marks=_open_ahead(assembled.maker, incoming, outgoing),
        )
        undo.pop_all()
    return plan


def _exchanged(
    assembled: Assembled, new: Config
) -> tuple[Mapping[str, Chosen], dict[str, Output], dict[str, OutputWorker]]:
    """All outputs that the new settings want, those to open, and the workers to stop.

    Raises:
        StartupError: they can only change at a restart, or one can't be used as configured.
    """
    old, workers = assembled.config, assembled.workers
    wanted, before = wanted_outputs(new), wanted_outputs(old)
    stay = {spec for spec in workers if spec in wanted and wanted[spec].is_like(before[spec])}
    if old.source is not None:
        if wanted != before:
            raise StartupError(
                "restart to change the outputs of a daemon with a source, or their settings"
            )
        wanted, stay = {}, set(workers)
    incoming = {
        spec: assembled.maker.output(spec, chosen)
        for spec, chosen in wanted.items()
        if spec not in stay
    }
    outgoing = {spec: worker for spec, worker in workers.items() if spec not in stay}
    is_shared = assembled.is_shared or new.shared_marks
    is_shared |= any(output.shared_key is not None for output in incoming.values())
    if is_shared and (incoming or outgoing):
        # What an output that goes has not written could not wait on disk meanwhile.
        raise StartupError(
            "restart to change outputs that other daemons write to, or their settings"
        )
    return wanted, incoming, outgoing


def _open_ahead(
    maker: OutputMaker, incoming: Mapping[str, Output], outgoing: Mapping[str, OutputWorker]
) -> dict[str, Mapping[bytes, int]]:
    """Open what is new and does not wait for another output to close; returns the marks."""
    marks: dict[str, Mapping[bytes, int]] = {}
    try:
        for spec, output in incoming.items():
            if spec in outgoing:
                continue
            try:
                marks[spec] = maker.opened(spec, output)
            except StartupError:
                if not outgoing:
                    raise
                # Perhaps one that goes has its files: it is tried again when that is closed.
    except BaseException:
        for spec in marks:
            incoming[spec].close()
        raise
    return marks


def _end_others(loaded: Callables, kept: Callables) -> None:
    """Close what was loaded for nothing."""
    end_callables([one for spec, one in loaded.items() if spec not in kept], PLUGINS_S)

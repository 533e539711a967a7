"""`logd serve`: everything put together, from settings to exit status.

The order matters: outputs are opened and locked first, then sockets listen, then the daemon says
that it is ready, in one line and to systemd. A start that fails closes what it opened and leaves
one line that says what, where and what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from logd.daemon import assembly, control
from logd.daemon.allocator import keep_freed_memory
from logd.daemon.assembly import Assembled
from logd.daemon.feed import Feed
from logd.daemon.holdings import Holdings
from logd.daemon.indexkeeper import IndexKeeper
from logd.daemon.notify import ServiceManager
from logd.daemon.outputmaker import Fatal
from logd.daemon.peers.listeners import Listener, inherited, listen_tcp, listen_unix
from logd.daemon.peers.overflow import Overflow
from logd.daemon.reload import Reloader
from logd.daemon.runner import Companion, Daemon, Parts
from logd.daemon.workingfolder import WorkingFolder
from logd.errors import StartupError
from logd.outputs.health import Tell
from logd.server import LogServer
from logd.settings.checks import warnings
from logd.settings.table import Config

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
"""How long a thread may keep the interpreter while another wants it. The default of 5 ms would let
the pipeline's thread hold up the event loop at every read: at full speed that costs a third of the
throughput."""

GARBAGE_THRESHOLD = 10_000
"""Containers that may be made, more than freed, before the collector looks for cycles among them.
Decoded records are in no cycle, but at the default of 700 it looks at each of them several times
while they wait for their output, and the more often the more connections there are: that was a
fifth of the throughput of ten thousand. The price: a cycle of garbage stays a little longer."""


def serve(config: Config) -> int:
    """Run the daemon until it is told to stop; returns the exit status.

    Raises:
        StartupError: it can't start as configured; nothing is left half started.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(GARBAGE_THRESHOLD)
    keep_freed_memory()
    _allow_descriptors()
    with asyncio.Runner(loop_factory=loop_factory(config.loop)) as runner:
        return runner.run(_serve(config))


def _allow_descriptors() -> None:
    """Open as many descriptors as the system lets us; mostly a process starts with 1024.

    The low limit protects programs that use select(); we don't.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems promise more than they grant: then the limit stays what it is.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def loop_factory(name: str) -> type[asyncio.AbstractEventLoop] | None:
    """The event loop's class for a setting; the standard loop if uvloop is absent."""
    if name == "uvloop":
        try:
            import uvloop
        except ImportError:
            logger.info("uvloop is not installed: asyncio's own event loop is used")
        else:
            return uvloop.Loop
    return None


async def _serve(config: Config) -> int:
    working_folder = WorkingFolder(config)
    with contextlib.ExitStack() as undo:
        # Outputs report to the daemon, which is made of them: by the time they do, it is there.
        assembled = _assembled(
            config,
            lambda cat, text: daemon.problem(cat, text),
            lambda exc: daemon.fatal(exc),
            lambda: daemon.pipeline.server,
        )
        undo.callback(assembled.close)
        tls = assembly.tls_context(config)
        doors = _open_doors(config, undo)
        if tls is None and any(listener.is_tls for listener in doors.senders):
            raise StartupError("systemd hands over a socket for TLS: set tls_cert and tls_key")
        manager = ServiceManager()
        daemon = Daemon(_parts(config, assembled, doors.senders, tls), manager)
        daemon.partitions = assembled.partitions
        feed = Feed()
        plain_hosts = _plain_hosts(doors.senders)
        reloader = Reloader(daemon, assembled, manager, feed, plain_hosts)
        daemon.companions += [
            *assembled.companions(),
            *_controls(config, doors, daemon, reloader, feed, Holdings(lambda: assembled.config)),
            *_metrics_servers(config, doors, daemon, reloader, feed),
            IndexKeeper(lambda: assembled.config, rest=daemon.hub.rest),
            working_folder,
        ]
        # From here on the daemon closes what it was given.
        undo.pop_all()
    _watch_signals(daemon, reloader)
    if config.shared_marks:
        logger.info("marks are shared with other daemons: nothing is kept on disk for clients")
    for warning in warnings(config, plain_hosts):
        logger.warning("%s", warning)
    daemon.tell_left_behind(assembled.left_behind())
    return await daemon.run(lambda: _tell_ready(manager, daemon.addresses, assembled))


class _Doors(NamedTuple):
    """The sockets that listen: for senders, for the control socket, its feed, and for metrics."""

    senders: Sequence[Listener]
    control: Listener | None
    feed: Listener | None
    metrics: Sequence[Listener]


def _open_doors(config: Config, undo: contextlib.ExitStack) -> _Doors:
    """Listen on everything that the settings name; `undo` closes it.

    Raises:
        StartupError: an address or a path can't be used.
    """

    def kept(listeners: Sequence[Listener]) -> Sequence[Listener]:
        for listener in listeners:
            undo.callback(listener.close)
        return listeners

    def kept_one(listener: Listener | None) -> Listener | None:
        kept([listener] if listener is not None else [])
        return listener

    return _Doors(
        kept(_listen(config) if config.source is None else []),
        kept_one(control.listen(config)),
        kept_one(control.listen_feed(config)),
        kept(_listen_for_metrics(config.metrics)),
    )


def _parts(
    config: Config,
    assembled: Assembled,
    listeners: Sequence[Listener],
    tls: ssl.SSLContext | None,
) -> Parts:
    return Parts(
        server=assembled.server,
        outputs=assembled.outputs,
        marks=assembled.marks,
        session_keys=assembled.maker.session_keys,
        listeners=listeners,
        limits=assembly.limits(config),
        token=config.token,
        tls=tls,
        queue_bytes=config.queue_bytes,
        connection_queue_bytes=config.connection_queue_bytes,
        overflow=Overflow(
            config.state_folder,
            limit_bytes=config.queue_disk_bytes,
            min_free_bytes=config.min_free_bytes,
        ),
        drain_s=config.drain_s,
        close_plugins=assembled.close_plugins,
        shared=assembled.maker.shared,
        is_shared=assembled.is_shared,
        give_up_s=config.engine_retry_s,
        max_sessions=config.max_sessions,
    )


def _controls(
    config: Config,
    doors: _Doors,
    daemon: Daemon,
    reloader: Reloader,
    feed: Feed,
    holdings: Holdings,
) -> Iterator[Companion]:
    """What answers at the control socket and at the feed's; renewed at each reload."""
    for listener, listen_again, is_feed in (
        (doors.control, lambda: control.listen(config), False),
        (doors.feed, lambda: control.listen_feed(config), True),
    ):
        if listener is None:
            continue
        one = control.Control(
            daemon,
            listener,
            reloader,
            feed,
            holdings,
            is_feed=is_feed,
            listen_again=listen_again,
        )
        reloader.afterwards.append(one.renew)
        yield one


def _assembled(
    config: Config, on_problem: Tell, on_fatal: Fatal, server: Callable[[], LogServer]
) -> Assembled:
    """What the daemon is made of: outputs for what senders send, or for what a source has."""
    if config.source is None:
        return assembly.assemble(config, on_problem, on_fatal)
    # Late: what reads from engines is not for daemons without one.
    from logd.daemon import store

    return store.assemble(config, on_problem, on_fatal, server)


def _listen(config: Config) -> list[Listener]:
    """Sockets handed over by systemd, else those of the settings."""
    listeners = inherited()
    if listeners:
        return listeners
    with contextlib.ExitStack() as undo:
        if config.port:
            listeners += listen_tcp(config.host, config.port)
        for listener in listeners:
            undo.callback(listener.close)
        if config.tls_port:
            tls_listeners = listen_tcp(config.host, config.tls_port, is_tls=True)
            for listener in tls_listeners:
                undo.callback(listener.close)
            listeners += tls_listeners
        if config.socket is not None:
            listeners.append(
                listen_unix(
                    config.socket,
                    owner=config.socket_owner,
                    group=config.socket_group,
                    mode=config.socket_mode,
                )
            )
        undo.pop_all()
    return listeners


def _plain_hosts(listeners: Sequence[Listener]) -> list[str]:
    """The addresses that are listened on over TCP without TLS."""
    return [
        listener.sock.getsockname()[0]
        for listener in listeners
        if not listener.is_tls and listener.path is None
    ]


def _listen_for_metrics(address: str | None) -> list[Listener]:
    if address is None:
        return []
    host, _, port = address.rpartition(":")
    try:
        listeners = listen_tcp((host.strip("[]"),), (int(port),))
    except StartupError as exc:
        raise StartupError(f"metrics {address}: {exc}") from exc
    for listener in listeners:
        logger.info("metrics on http://%s/metrics", listener.address)
    return listeners


def _metrics_servers(
    config: Config, doors: _Doors, daemon: Daemon, reloader: Reloader, feed: Feed
) -> Iterator[Companion]:
    """What serves metrics; nothing if they are not wanted."""
    if not doors.metrics:
        return
    # Late: HTTP and Prometheus are not for those who want no metrics.
    from logd.daemon.metrics import MetricsServer

    own = (config.metrics or "").rpartition(":")[0].strip("[]")
    yield MetricsServer(daemon, doors.metrics, reloader, feed, (own, *config.metrics_hosts))


def _tell_ready(manager: ServiceManager, addresses: Sequence[str], assembled: Assembled) -> None:
    names = ", ".join(worker.output.name for worker in assembled.outputs.workers)
    where = assembled.way_in or f" on {', '.join(addresses)}"
    text = f"ready{where}, writing to {names}, pid {os.getpid()}"
    logger.info("%s", text)
    manager.ready(text)
    # What it took to get here stays to the end: nothing of it needs to be looked at again.
    gc.freeze()


def _watch_signals(daemon: Daemon, reloader: Reloader) -> None:
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        if daemon.stopping.is_set():
            logger.warning("second signal (%s), stopping at once: %s", name, daemon.left())
            logging.shutdown()
            # As after kill -9: what is on disk is whole, and the next start takes up from there.
            os._exit(1)
        logger.info("%s, draining", name)
        daemon.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, signal.Signals(number).name)
    loop.add_signal_handler(signal.SIGUSR1, _rotate, daemon)
    loop.add_signal_handler(signal.SIGHUP, _reload, daemon, reloader)


def _rotate(daemon: Daemon) -> None:
    """SIGUSR1: every output goes on to its next file or table."""
    logger.info("SIGUSR1, rotating")
    if daemon.outputs is not None:
        daemon.outputs.call_each(lambda worker: worker.output.rotate)


def _reload(daemon: Daemon, reloader: Reloader) -> None:
    """SIGHUP: settings are read anew, files are opened again under their names."""
    logger.info("SIGHUP, reloading")
    daemon.spawn(reloader.reload_soon())

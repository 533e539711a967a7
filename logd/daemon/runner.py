"""The running daemon: from listening sockets and opened outputs to the end of the drain.

`Daemon` gets everything ready-made (sockets that listen, outputs that are open) and owns it from
`run` on. `service.py` makes one from settings, `logd.socketserver` one around an app's `LogServer`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from logd.daemon.chores import Chores
from logd.daemon.crowding import Crowding
from logd.daemon.drain import drain
from logd.daemon.lastresort import LastResort
from logd.daemon.notify import ServiceManager
from logd.daemon.peers.acceptor import Acceptor
from logd.daemon.peers.hub import Hub
from logd.daemon.peers.intake import Intake
from logd.daemon.peers.limits import Limits
from logd.daemon.peers.markreader import MarkReader
from logd.daemon.peers.overflow import Overflow
from logd.daemon.peers.sessions import Sessions
from logd.daemon.pipeline import Pipeline
from logd.daemon.sessionkeys import SessionKeys
from logd.daemon.sinks import WriterSink
from logd.outputs.base import SharedMarks
from logd.outputs.health import PROBLEM, RETRYING, WORKS
from logd.outputs.marks import MAX_MARKS
from logd.text.quantities import counted

if TYPE_CHECKING:
    from logd.daemon.partition import Partition
    from logd.daemon.peers.connection import Connection
    from logd.daemon.peers.listeners import Listener
    from logd.outputs.fanout import Outputs
    from logd.outputs.leftbehind import LeftBehind
    from logd.server import LogServer

logger = logging.getLogger(__name__)

_LEVELS = {PROBLEM: logging.ERROR, RETRYING: logging.WARNING, WORKS: logging.WARNING}

END_S = 30.0
"""How much longer than the drain an end may take after a failure."""


@dataclass(kw_only=True)
class Parts:
    """What a daemon is made of.

    Attributes:
        server: filters, observers and the writer.
        outputs: the durable outputs that `server` writes to; None if its writer is the app's.
        marks: client id -> sequence number that every output holds from earlier runs.
        session_keys: what sessions are called in marks.
        listeners: sockets that listen; closed by the daemon.
        limits: what peers may ask.
        token: what senders must open their session with, None without one.
        tls: context for listeners with TLS.
        queue_bytes, connection_queue_bytes: see `Intake`.
        overflow: where plain senders' records wait on disk, undecoded; None: nowhere.
        drain_s: longest time to write what was received when told to stop.
        shared: marks that other daemons have in common with this one.
        is_shared: clients may go to other daemons that write to the same place.
        give_up_s: if it is, how old what is not stored may get, before others forget its sessions.
        max_sessions: how many clients' sessions are remembered.
        close_plugins: ends what filters and observers have running, in at most the seconds given.
    """

    server: LogServer
    outputs: Outputs | None = None
    marks: Mapping[bytes, int] = field(default_factory=dict)
    session_keys: SessionKeys = field(default_factory=SessionKeys)
    listeners: Sequence[Listener]
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    tls: ssl.SSLContext | None = None
    queue_bytes: int = 64 << 20
    connection_queue_bytes: int = 4 << 20
    overflow: Overflow | None = None
    drain_s: float = 30.0
    close_plugins: Callable[[float], None] | None = None
    shared: SharedMarks | None = None
    is_shared: bool = False
    give_up_s: float = math.inf
    max_sessions: int = MAX_MARKS


class Companion(Protocol):
    """Something that runs beside the daemon for as long as it serves."""

    async def start(self) -> None:
        """Begin; the outputs are fed, connections are not accepted yet."""

    async def stop(self) -> None:
        """End; the drain is over."""


class Daemon:
    """One running daemon. Made and run in the event loop's thread; `stop` may come from any.

    Attributes:
        hub: connections, counts and limits.
        pipeline: the consumer.
        outputs: see `Parts`.
        drain_s: see `Parts`.
        addresses: what it listens on, for people.
        chores: what it does every few seconds, and what it measures then.
        partitions: what is read from a source; none if the daemon listens.
        left_behind: what waits on disk for no output of the settings.
        companions: to be filled before `run`.
        changing: held while parts are exchanged; a stop waits for it.
        is_ready: whether it accepts connections and was not told to stop.
        stopping: set when a stop was asked for.
        failure: what ended the daemon if it failed; None after a stop.
    """

    def __init__(self, parts: Parts, manager: ServiceManager | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts = parts
        self._manager = manager or ServiceManager({})
        self.outputs = parts.outputs
        self.drain_s = parts.drain_s
        self.addresses = [listener.address for listener in parts.listeners]
        self.left_behind: Sequence[LeftBehind] = ()
        self.partitions: Sequence[Partition] = ()
        self.companions: list[Companion] = []
        self.changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_started = False
        intake: Intake[Connection] = Intake(
            parts.queue_bytes, parts.connection_queue_bytes, parts.overflow
        )
        self.sessions = Sessions(parts.marks, keys=parts.session_keys, limit=parts.max_sessions)
        self.hub = Hub(self._loop, intake, self.sessions, parts.limits, parts.token)
        if parts.shared is not None:
            self.hub.marks = MarkReader(self._loop, parts.shared, parts.session_keys)
        self.pipeline = Pipeline(
            self.hub,
            parts.server,
            parts.outputs or WriterSink(parts.server),
            dict(parts.marks),
            self.fatal,
            tells_dropped=parts.is_shared and parts.shared is None,
        )
        self.chores = Chores(
            self.hub,
            self.pipeline,
            parts.outputs,
            self._manager,
            self.fatal,
            Crowding("clients", parts.max_sessions, self.problem),
            is_shared=parts.is_shared,
            give_up_s=parts.give_up_s,
        )
        self.hub.patience.relieve = self.pipeline.relieve
        self.acceptor = Acceptor(self.hub, parts.listeners, parts.tls)
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None
        self._last_resort = LastResort(parts.drain_s + END_S)

    def stop(self) -> None:
        """Begin a graceful stop; from any thread, any number of times."""
        # The loop is closed if the daemon has stopped already.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.stopping.set)

    def problem(self, cat: str, text: str) -> None:
        """Tell readers of the log about the daemon itself; from any thread."""
        logger.log(_LEVELS[cat], "%s", text)
        server = self.pipeline.server
        server.note(text, cat=cat)
        self.pipeline.thread.call(server.write_reports)

    def tell_left_behind(self, found: Sequence[LeftBehind]) -> None:
        """Say what waits on disk for no output of the settings."""
        self.left_behind = found
        for one in found:
            self.problem(
                RETRYING, f"{one} is left, and no output has that name: see logd queue --help"
            )

    def fatal(self, exc: BaseException) -> None:
        """A thread failed in a way that only a restart can mend: stop, with a non-zero status."""
        self.failure = exc
        self._last_resort.failed()
        self.stop()

    async def run(self, on_ready: Callable[[], None]) -> int:
        """Serve until `stop`; returns the exit status after the drain.

        `on_ready` is called once the outputs are fed and connections are accepted.
        """
        self._last_resort.start()
        self._loop.set_exception_handler(self._callback_failed)
        if self.outputs is not None:
            self.outputs.start()
        consumer = asyncio.create_task(self.pipeline.run())
        consumer.add_done_callback(self._consumer_ended)
        chores = [asyncio.create_task(chore) for chore in self.chores.all()]
        for companion in self.companions:
            await companion.start()
        self.acceptor.start()
        self._has_started = True
        on_ready()
        await self.stopping.wait()
        async with self.changing:
            self._manager.stopping("draining")
            started = time.monotonic()
            await drain(
                self.hub,
                self.acceptor,
                self.pipeline,
                self.outputs,
                self.drain_s,
                self._parts.close_plugins,
            )
        for task in (consumer, *chores):
            task.cancel()
        await asyncio.gather(consumer, *chores, return_exceptions=True)
        for companion in self.companions:
            await companion.stop()
        if self.hub.marks is not None:
            self.hub.marks.close()
        self._last_resort.ended()
        counts = self.hub.counts
        logger.info(
            "stopped: %s, %s, drained in %.2f s",
            counted(counts.records, "record"),
            counted(counts.connections, "connection"),
            time.monotonic() - started,
        )
        return 0 if self.failure is None else 1

    @property
    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        return self._has_started and not self.stopping.is_set()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` as a task of its own; its failure is told, not lost."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=exc)

    def left(self) -> str:
        """What a stop at once leaves behind, for people."""
        intake = self.hub.intake
        return (
            f"{intake.queued_bytes} bytes of {len(self.hub.connections)} connections not written; "
            "clients with acknowledgements keep theirs and send them again"
        )

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback of the loop failed: without memory nothing can go on."""
        exc = context.get("exception")
        if isinstance(exc, MemoryError):
            self.fatal(exc)
        loop.default_exception_handler(context)

    def _consumer_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            logger.error("the consumer failed", exc_info=exc)
            self.fatal(exc)

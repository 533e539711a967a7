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
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from logd.daemon.drain import drain
from logd.daemon.lastresort import LastResort
from logd.daemon.notify import ServiceManager
from logd.daemon.peers.acceptor import Acceptor
from logd.daemon.peers.hub import REPORT_FAULTS_EVERY_S, Hub
from logd.daemon.peers.intake import Intake
from logd.daemon.peers.limits import Limits
from logd.daemon.peers.markreader import MarkReader
from logd.daemon.peers.sessions import Sessions
from logd.daemon.pipeline import Pipeline
from logd.daemon.rates import EVERY_S, Pace, Rates
from logd.daemon.sessionkeys import SessionKeys
from logd.daemon.sinks import WriterSink
from logd.outputs.base import OutputUnavailable, SharedMarks
from logd.outputs.health import PROBLEM, RETRYING, WORKS

if TYPE_CHECKING:
    from logd.daemon.partition import Partition
    from logd.daemon.peers.connection import Connection
    from logd.daemon.peers.listeners import Listener
    from logd.outputs.fanout import Outputs
    from logd.outputs.leftbehind import LeftBehind
    from logd.outputs.worker import OutputWorker
    from logd.server import LogServer

logger = logging.getLogger(__name__)

_LEVELS = {PROBLEM: logging.ERROR, RETRYING: logging.WARNING, WORKS: logging.WARNING}

HOUSEKEEPING_S = 1.0
KEEP_ALIVE_S = 3.0
"""Clients with several servers leave one that says nothing for 10 s."""

STUCK_S = 5.0
"""If marks are shared and a write takes longer, clients may go to another daemon."""

TICK_S = 5.0
STATUS_S = 10.0
PRUNE_S = 10.0
END_S = 30.0
"""How much longer than the drain an end may take after a failure."""

REQUEST_S = 10.0
"""How long an answer of an output's thread is waited for, where somebody waits."""


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
        drain_s: longest time to write what was received when told to stop.
        shared: marks that other daemons have in common with this one.
        is_shared: clients may go to other daemons that write to the same place.
        give_up_s: if it is, how old what is not stored may get, before others forget its sessions.
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
    drain_s: float = 30.0
    close_plugins: Callable[[float], None] | None = None
    shared: SharedMarks | None = None
    is_shared: bool = False
    give_up_s: float = math.inf


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
        rates: how much comes in.
        paces: how much comes back from the disk, for each output.
        partitions: what is read from a source; none if the daemon listens.
        left_behind: what waits on disk for no output of the settings.
        companions: to be filled before `run`.
        changing: held while parts are exchanged; a stop waits for it.
        is_ready: whether it accepts connections and was not told to stop.
        stopping: set when a stop was asked for.
        failure: what ended the daemon where it failed; None after a stop.
    """

    def __init__(self, parts: Parts, manager: ServiceManager | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._parts = parts
        self._manager = manager or ServiceManager({})
        self.outputs = parts.outputs
        self.drain_s = parts.drain_s
        self.addresses = [listener.address for listener in parts.listeners]
        self.rates = Rates(self._loop.time())
        self.paces: dict[OutputWorker, Pace] = {}
        self.left_behind: Sequence[LeftBehind] = ()
        self.partitions: Sequence[Partition] = ()
        self.companions: list[Companion] = []
        self.changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_started = False
        intake: Intake[Connection] = Intake(parts.queue_bytes, parts.connection_queue_bytes)
        self.sessions = Sessions(parts.marks, keys=parts.session_keys)
        self.hub = Hub(self._loop, intake, self.sessions, parts.limits, parts.token)
        if parts.shared is not None:
            self.hub.marks = MarkReader(self._loop, parts.shared)
        self.pipeline = Pipeline(
            self.hub,
            parts.server,
            parts.outputs or WriterSink(parts.server),
            dict(parts.marks),
            self.fatal,
            tells_dropped=parts.is_shared and parts.shared is None,
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
        self.pipeline.call(lambda: server.observe(()))

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
        chores = [asyncio.create_task(chore) for chore in self._chores()]
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
            _counted(counts.records, "record"),
            _counted(counts.connections, "connection"),
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

    async def ask_outputs(
        self, workers: Sequence[OutputWorker], method: Callable[[OutputWorker], None]
    ) -> list[str]:
        """Call `method` for each worker in its own thread, between two writes.

        Returns:
            A line for each if it was not done yet after `REQUEST_S` seconds, or not at all. An
            output that is unavailable is not waited for: it will be asked once it works.
        """
        problems = [
            f"output {worker.output.name} is unavailable; it will be done once it works"
            for worker in workers
            if worker.is_failing
        ]
        answers = {self._ask(worker, method): worker for worker in workers}
        waited = [answer for answer, worker in answers.items() if not worker.is_failing]
        if waited:
            await asyncio.wait(waited, timeout=REQUEST_S)
        for answer in waited:
            name = answers[answer].output.name
            if not answer.done():
                problems.append(f"output {name} is busy; it will be done after that")
            elif (text := answer.result()) is not None:
                problems.append(f"output {name}: {text}")
        return problems

    def _ask(
        self, worker: OutputWorker, method: Callable[[OutputWorker], None]
    ) -> asyncio.Future[str | None]:
        answer: asyncio.Future[str | None] = self._loop.create_future()

        def set_answer(text: str | None) -> None:
            if not answer.done():
                answer.set_result(text)

        def tell(text: str | None) -> None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(set_answer, text)

        def request() -> None:
            try:
                method(worker)
            except Exception as exc:
                tell(str(exc) or type(exc).__name__)
                raise
            tell(None)

        worker.call(request)
        return answer

    def stuck_s(self) -> float:
        """The longest time, in seconds, that a thread has been busy with one thing.

        An output that is away does not count as stuck: its worker waits and tries again.
        """
        stuck_s = self.pipeline.stuck_s()
        return stuck_s if self.outputs is None else max(stuck_s, self.outputs.stuck_s())

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

    # -- chores ----------------------------------------------------------------------------

    def _chores(self) -> list[Coroutine[None, None, None]]:
        chores = [
            self._every(HOUSEKEEPING_S, self.hub.close_late),
            self._every(KEEP_ALIVE_S, self._keep_alive),
            self._every(REPORT_FAULTS_EVERY_S, self.hub.report_faults),
            self._every(PRUNE_S, self._prune),
            self._every(TICK_S, self._tick),
            self._every(EVERY_S, self._measure),
            self._every(STATUS_S, self._tell_status),
        ]
        if self._manager.watchdog_s:
            chores.append(self._every(self._manager.watchdog_s / 2, self._feed_watchdog))
        return chores

    async def _every(self, interval_s: float, chore: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(interval_s)
            try:
                chore()
            except Exception:
                logger.exception("%s failed", chore.__name__)

    def _keep_alive(self) -> None:
        """Tell clients that wait that the daemon lives, unless another one may do better."""
        is_alone = self.outputs is None or not self._parts.is_shared
        workers = () if is_alone or self.outputs is None else self.outputs.workers
        if not any(worker.is_failing or worker.stuck_s() > STUCK_S for worker in workers):
            self.hub.keep_alive()

    def _prune(self) -> None:
        gone = self.sessions.prune()
        self.pipeline.forget(gone)
        if self.outputs is not None and gone:
            self.outputs.call_each(lambda worker: lambda: worker.forget(gone))

    def _tick(self) -> None:
        if self.outputs is None:
            return
        now = time.time()
        for worker in self.outputs.workers:
            if self._parts.is_shared and worker.waits_s() > self._parts.give_up_s:
                self._give_up(worker)
            # One that is away has more than enough to do when it is back.
            if not worker.is_failing:
                worker.call(partial(worker.output.tick, now))

    def _give_up(self, worker: OutputWorker) -> None:
        """End: what it holds is so old that others may have forgotten that they stored it."""
        text = f"output {worker.output.name} stores nothing since {self._parts.give_up_s:g} s"
        logger.error("%s: the daemon ends; clients have all that is not stored", text)
        self.fatal(OutputUnavailable(text))

    def _measure(self) -> None:
        counts = self.hub.counts
        now = self._loop.time()
        self.rates.add(now, counts.records, counts.bytes)
        workers = () if self.outputs is None else self.outputs.workers
        self.paces = {worker: self.paces.get(worker) or Pace(now) for worker in workers}
        for worker, pace in self.paces.items():
            queue = worker.disk
            pace.add(now, queue.taken, queue.kept)

    def _tell_status(self) -> None:
        counts = self.hub.counts
        records_per_s, _ = self.rates.over(STATUS_S)
        self._manager.status(
            f"{records_per_s:,.0f} records/s, {counts.records:,} since start, "
            f"{len(self.hub.connections)} connections, "
            f"{self.hub.intake.queued_bytes / 1e6:.1f} MB queued{self._disks()}"
        )

    def _disks(self) -> str:
        """What waits on disk, for people; empty without any."""
        text = ""
        for worker in () if self.outputs is None else self.outputs.workers:
            queue = worker.disk
            if queue.records:
                text += f"; {queue.records:,} records wait on disk for output {worker.output.name}"
            if worker.is_full:
                text += f"; NO ROOM on disk for output {worker.output.name}, senders wait"
        return text

    def _feed_watchdog(self) -> None:
        """A sign of life, unless a thread has been busy with one thing for too long."""
        stuck_s = self.stuck_s()
        if stuck_s < self._manager.watchdog_s:
            self._manager.alive()
        else:
            logger.error("the pipeline has been stuck for %.0f s", stuck_s)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""A reload: settings are read anew, and what can change without a restart does.

No record and no connection is lost, no promise is broken:

    1. Everything that may fail is done first, while the daemon goes on: settings are read and
       checked, filters and observers loaded, certificates read, new outputs opened. A mistake
       ends the reload here, and nothing has changed.
    2. Outputs are exchanged in the pipeline's thread, between two portions: nothing is submitted
       meanwhile. Those that go write what they were given, for `DRAIN_S` at most, then the rest
       goes to their queue on disk; they close before others open the same files or tables. Those
       that stay notice nothing. If an output can't be opened after all, the old ones come back.
    3. Limits, token and certificates are put in force, filters and observers that go are closed.
    4. Outputs that stayed reopen their files, whether the settings changed or not (logrotate).

Acknowledgements stay right. They are cumulative, so a portion must not be acknowledged before
those in front of it: an output that goes has finished or spooled all of them before the next
portion is handed out, and each output that stays writes in order. An output that is new gets what
is received from then on; what earlier portions hold was never promised to be there.

A filter or observer whose text in the settings did not change goes on as it is, with what it has
counted; an output whose settings did not change does, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from logd.daemon.asking import ask_outputs
from logd.daemon.plugins import end_callables
from logd.daemon.reloadplan import PLUGINS_S, Plan, prepare
from logd.daemon.wanted import wanted_outputs
from logd.errors import StartupError
from logd.outputs import registry
from logd.outputs.base import OutputUnavailable
from logd.outputs.fanout import stop_together
from logd.settings.loading import ConfigError

if TYPE_CHECKING:
    from logd.daemon.assembly import Assembled
    from logd.daemon.feed import Feed
    from logd.daemon.notify import ServiceManager
    from logd.daemon.runner import Daemon
    from logd.outputs.worker import OutputWorker

logger = logging.getLogger(__name__)

DRAIN_S = 10.0
"""The longest time that outputs which go may hold up the pipeline; `drain_s` if that is less."""


class Outcome(NamedTuple):
    """What a reload did.

    Attributes:
        problems: why the old settings stay in force; empty if the new ones are.
        changed: settings that changed now.
        at_restart: settings that differ and need a restart.
        notes: what else is worth a line.
    """

    problems: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    at_restart: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Exchange:
    """How the exchange of outputs went.

    Attributes:
        successors: what took the place of each worker that went, None if nothing did.
        problem: why the old outputs were taken back.
    """

    successors: dict[OutputWorker, OutputWorker | None] = field(default_factory=dict)
    problem: str | None = None


class Reloader:
    """Reloads one daemon. Event loop's thread only.

    Args:
        daemon: the daemon.
        assembled: its parts; changed in place.
        manager: is told when a reload begins and ends.
        feed: followers of outputs that go are sent on their way.
        plain_hosts: addresses listened on without TLS, for the warning about exposure.

    Attributes:
        succeeded: whether the last reload put its settings in force; True before the first.
        reloads: how many there were.
        afterwards: what else is done at the end of each, whether or not it succeeded.
    """

    def __init__(
        self,
        daemon: Daemon,
        assembled: Assembled,
        manager: ServiceManager,
        feed: Feed,
        plain_hosts: Sequence[str] = (),
    ) -> None:
        self._daemon = daemon
        self._assembled = assembled
        self._manager = manager
        self._feed = feed
        self._plain_hosts = plain_hosts
        self._is_waiting = False
        self.succeeded = True
        self.reloads = 0
        self.afterwards: list[Callable[[], Awaitable[None]]] = []

    async def reload_soon(self) -> None:
        """Reload, unless one waits to begin anyway: it will see the same settings."""
        if not self._is_waiting:
            self._is_waiting = True
            await self.reload()

    async def reload(self) -> Outcome:
        """Reload; one at a time. What it did is told to the daemon's own log, too."""
        async with self._daemon.changing:
            self._is_waiting = False
            if self._daemon.stopping.is_set():
                return Outcome(("the daemon is stopping",))
            self._manager.reloading()
            before = set(self._assembled.outputs.workers)
            outcome = await self._renew()
            stayed = [worker for worker in self._assembled.outputs.workers if worker in before]
            for text in await ask_outputs(stayed, lambda one: one.output.reopen()):
                logger.warning("reopening files: %s", text)
            for act in self.afterwards:
                await act()
            self.reloads += 1
            self.succeeded = not outcome.problems
            self._tell(outcome)
            return outcome

    def _tell(self, outcome: Outcome) -> None:
        for problem in outcome.problems:
            logger.error("not reloaded, the old settings stay in force: %s", problem)
        for note in outcome.notes:
            logger.warning("%s", note)
        if outcome.at_restart:
            logger.warning(
                "changed, but takes effect only after a restart: %s", ", ".join(outcome.at_restart)
            )
        if outcome.problems:
            self._manager.ready(f"not reloaded: {outcome.problems[0]}")
        else:
            logger.info("reloaded; changed: %s", ", ".join(outcome.changed) or "nothing")
            self._manager.ready("reloaded")

    async def _renew(self) -> Outcome:
        if self._assembled.config.sources is None:
            return Outcome()
        try:
            plan = await asyncio.to_thread(
                prepare,
                self._assembled,
                self._plain_hosts,
                needs_tls=self._daemon.acceptor.needs_tls,
            )
        except ConfigError as exc:
            return Outcome(exc.problems)
        except StartupError as exc:
            return Outcome((str(exc),))
        try:
            exchange = await self._daemon.pipeline.thread.between_portions(
                lambda: self._exchange(plan)
            )
        except (RuntimeError, StartupError) as exc:
            exchange = _Exchange(problem=str(exc))
        self._feed.outputs_changed(exchange.successors)
        if exchange.problem is not None:
            await asyncio.to_thread(end_callables, self._fresh_callables(plan), PLUGINS_S)
            return Outcome((exchange.problem,))
        await self._put_in_force(plan)
        return Outcome((), plan.changes.now, self._at_restart(plan), plan.notes)

    # -- the exchange (the pipeline's thread) ----------------------------------------------------

    def _exchange(self, plan: Plan) -> _Exchange:
        """Put the new outputs in the place of the old ones, or, if that fails, the old ones."""
        daemon, assembled = self._daemon, self._assembled
        exchange = _Exchange()
        with assembled.outputs.exchanging():
            # Its last word about filters that failed.
            assembled.server.write_reports()
            self._let_go(plan.outgoing.values())
            if daemon.failure is not None:
                # One has neither written nor spooled what it was given, and the daemon stops. An
                # output in its place would have later numbers acknowledged, and those with them.
                for output in plan.incoming.values():
                    output.close()
                raise StartupError(f"an output failed: {daemon.failure}")
            fresh: dict[str, OutputWorker] = {}
            try:
                for spec in plan.incoming:
                    fresh[spec] = self._opened(plan, spec)
                specs = list(plan.wanted)
            except StartupError as exc:
                exchange.problem = str(exc)
                for worker in fresh.values():
                    worker.abandon()
                for output in plan.incoming.values():
                    output.close()
                fresh = self._taken_back(plan.outgoing)
                specs = list(assembled.workers)
            for spec, gone in plan.outgoing.items():
                successor = exchange.successors[gone] = fresh.get(spec)
                if successor is not None:
                    for watcher in gone.watchers:
                        successor.watch(watcher)
            for worker in fresh.values():
                worker.start()
            assembled.workers = {spec: fresh.get(spec) or assembled.workers[spec] for spec in specs}
            assembled.outputs.workers = list(assembled.workers.values())
            if exchange.problem is None:
                daemon.pipeline.use(plan.server, plan.limits.max_frame_bytes)
        return exchange

    def _let_go(self, workers: Iterable[OutputWorker]) -> None:
        """Stop workers once they have written what they were given, or kept it on disk."""
        now = time.monotonic()
        for worker in workers:
            # One that is away is not waited for: the operator may just be removing it for that.
            time_s = 0.0 if worker.is_failing else min(self._daemon.drain_s, DRAIN_S)
            worker.give_up_at(now + time_s)
        stop_together(workers)

    def _opened(self, plan: Plan, spec: str) -> OutputWorker:
        """A worker for an output of the new settings.

        Raises:
            StartupError: it can't be opened.
        """
        output = plan.incoming[spec]
        marks = plan.marks.get(spec)
        if marks is None:
            try:
                marks = self._assembled.maker.opened(spec, output)
            except StartupError as exc:
                # One that was there before may be away for a moment: the worker will open it.
                is_away = isinstance(exc.__cause__, OutputUnavailable)
                if spec not in plan.outgoing or not is_away:
                    raise
        maker = self._assembled.maker
        chosen = plan.wanted[spec]
        opened = maker.queue(registry.shown(spec), chosen.config, plan.server)
        return maker.worker(output, marks, opened.queue, chosen)

    def _taken_back(self, outgoing: Iterable[str]) -> dict[str, OutputWorker]:
        """Workers with the old settings, which open their outputs themselves.

        Raises:
            StartupError: what they need is gone, too; the daemon stops.
        """
        assembled = self._assembled
        workers = {}
        wanted = wanted_outputs(assembled.config)
        for spec in outgoing:
            maker, chosen = assembled.maker, wanted[spec]
            try:
                output = maker.output(spec, chosen)
                opened = maker.queue(registry.shown(spec), chosen.config, assembled.server)
            except StartupError as exc:
                self._daemon.fatal(exc)
                raise
            workers[spec] = maker.worker(output, None, opened.queue, chosen)
        return workers

    # -- what can't fail (the event loop's thread) ------------------------------------------------

    async def _put_in_force(self, plan: Plan) -> None:
        daemon, assembled, config = self._daemon, self._assembled, plan.config
        daemon.hub.change_limits(plan.limits)
        daemon.hub.token = config.token
        intake = daemon.hub.intake
        intake.change_limits(config.queue_bytes, config.connection_queue_bytes)
        intake.overflow.change_limits(config.queue_disk_bytes, config.min_free_bytes)
        daemon.acceptor.tls = plan.tls
        daemon.drain_s = config.drain_s
        logging.getLogger("logd").setLevel(config.log_level.upper())
        if plan.outgoing:
            daemon.tell_left_behind(await asyncio.to_thread(assembled.left_behind))
        used = {id(one) for one in (*plan.filters.values(), *plan.observers.values())}
        gone = [
            one
            for one in (*assembled.filters.values(), *assembled.observers.values())
            if id(one) not in used
        ]
        assembled.config, assembled.server = config, plan.server
        assembled.filters, assembled.observers = plan.filters, plan.observers
        await asyncio.to_thread(end_callables, gone, PLUGINS_S)

    def _at_restart(self, plan: Plan) -> tuple[str, ...]:
        names = plan.changes.at_restart
        # It may stand beside the first log file, which is another one now.
        has_moved = plan.config.state_folder != self._assembled.maker.state
        return (*names, "state_dir") if has_moved and "state_dir" not in names else names

    def _fresh_callables(self, plan: Plan) -> list[object]:
        assembled = self._assembled
        old = {id(one) for one in (*assembled.filters.values(), *assembled.observers.values())}
        new = (*plan.filters.values(), *plan.observers.values())
        return [one for one in new if id(one) not in old]

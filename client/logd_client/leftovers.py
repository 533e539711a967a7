"""Delivers what processes that are gone left in a spool directory.

Each left session is sent under its own client id and numbers over a connection of its own,
beside the session of this process, one after the other; then its folder is removed. Every process
that logs to the directory looks at its start, and then every half minute, because children of a
server end one after the other. A lock makes one of the processes the heir.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from logd_client.clientsession import Session
from logd_client.connection import ServerAddress
from logd_client.link import Link
from logd_client.natives import Gate, monotonic, start_thread, wait_ready
from logd_client.problems import RecordsLost, SessionProblem
from logd_client.records import EncodedBatch
from logd_client.spool import Spool, open_leftovers
from logd_client.spoolreader import LeftRecords
from logd_client.store import MemoryStore, Store

__all__ = ["LeftoverSender"]

_random = random.SystemRandom()

_LOOK_S = 0.5
"""How often it is looked whether to stop."""

_ROUND_S = 30.0
"""After that time the directory is read again, with jitter, for many processes do so."""


class _LeftoverStore(MemoryStore):
    """The folder of a left session, for its state: what is sent is in memory, a file at a time."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def acknowledge(self, acked: int) -> None:
        self._spool.acknowledge(acked)

    def close(self, *, is_delivered: bool) -> None:
        self._spool.close(remove=is_delivered)

    def abandon(self) -> None:
        self._spool.abandon()


class LeftoverSender:
    """A thread that looks for leftovers as long as its process lives.

    Args:
        directory: the spool directory.
        address: where the server may be.
        token: the shared token, None without one.
        report: takes what people should know.
        tidy: called in each round but the first.
    """

    def __init__(
        self,
        directory: Path,
        address: ServerAddress,
        token: str | None,
        report: Callable[[BaseException], None],
        tidy: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._address = address
        self._token = token
        self._report = report
        self._tidy = tidy
        self._stopping = Gate()
        self._idle = Gate()
        self._ended = Gate()
        self._is_started = False
        self._link: Link | None = None
        self._store: _LeftoverStore | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        try:
            start_thread(self._run, "logd_client spool")
            self._is_started = True
        except RuntimeError:
            # The interpreter shuts down: another process finds what is here.
            pass

    def stop(self, deadline: float, *, is_server_there: bool) -> None:
        """End soon; with a server there, not before `deadline` (monotonic time) or all is done.

        What is not delivered stays in the directory.
        """
        if not self._is_started:
            return
        link = self._link
        if is_server_there or (link is not None and link.connected_to is not None):
            self._idle.wait(max(0.0, deadline - monotonic()))
        self._stopping.open()
        self._ended.wait(max(_LOOK_S, deadline - monotonic()))

    def abandon(self) -> None:
        """Give up, in a child process, what the parent is delivering."""
        if self._link is not None:
            self._link.abandon()
        if self._store is not None:
            self._store.abandon()

    def _run(self) -> None:
        try:
            self._look()
            while not self._stopping.wait(_ROUND_S * _random.uniform(0.7, 1.0)):
                self._tidy()
                self._idle = Gate()
                self._look()
        finally:
            self._ended.open()

    def _look(self) -> None:
        try:
            for spool in open_leftovers(self._directory):
                if self._stopping.is_open:
                    spool.close(remove=False)
                    return
                self._deliver(spool)
        except Exception as exc:  # top of the thread
            self._report(
                SessionProblem(f"spool {self._directory}: leftovers not delivered: {exc!r}")
            )
        finally:
            self._idle.open()

    def _deliver(self, spool: Spool) -> None:
        self._store = store = _LeftoverStore(spool)
        left = LeftRecords(spool.folder, spool.acked, f"the spool {spool.folder} was damaged")
        is_delivered = self._send(store, spool.client_id, left.runs())
        self._store = None
        spool.damaged = left.damaged
        if is_delivered and (left.damaged or left.lost):
            names = ", ".join([str(spool.kept_as(path)) for path in left.damaged])
            kept = f"; the damaged files are kept: {names}" if names else ""
            text = f"spool {spool.folder}: {left.lost} record(s) lost{kept}"
            self._report(RecordsLost(text, left.lost) if left.lost else SessionProblem(text))
        store.close(is_delivered=is_delivered)

    def _send(self, store: Store, client_id: bytes, runs: Iterator[list[EncodedBatch]]) -> bool:
        """Deliver a session; false if the process ends before all is stored."""
        run = next(runs, None)
        while run is not None and not self._stopping.is_open:
            session = Session(client_id, entries=run, token=self._token)
            self._link = link = Link(session, store, self._address, self._report, _ignore)
            run = next(runs, None)
            while session.oldest is not None and not self._stopping.is_open:
                if run is not None and session.next_unsent is None and _follows(run, session):
                    for entry in run:
                        session.add(entry)
                    run = next(runs, None)
                link.step()
                if session.oldest is not None:
                    _wait(link)
            link.close()
            self._link = None
            if session.oldest is not None:
                return False
        return run is None


def _follows(run: Sequence[EncodedBatch], session: Session) -> bool:
    """Whether it goes on at the session's end; else a new connection says what is missing."""
    return run[0].first == session.next_sequence


def _ignore(entries: Sequence[EncodedBatch]) -> None:
    pass


def _wait(link: Link) -> None:
    timeout_s = link.timeout_s(monotonic())
    wanted = [link.wanted] if link.wanted[0] >= 0 else []
    wait_ready(wanted, _LOOK_S if timeout_s is None else min(timeout_s, _LOOK_S))

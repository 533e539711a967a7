"""Where the pipeline's batches go: the daemon's outputs, or the writer of an app's own server."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from logd.outputs.work import Work

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.server import LogServer

logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Where prepared batches go: all outputs of the daemon, or the writer of an app's server.

    Attributes:
        is_quick: `submit` waits for nothing, so that the event loop may call it.
    """

    is_quick: bool

    def submit(self, work: Work) -> None:
        """Take `work`; its `on_done` is called once it is durable."""

    def line_up(self, work: Work) -> None:
        """As `submit`, but `write_here` has to follow; only if it is quick."""

    def write_here(self) -> None:
        """Write in this thread what stands in the line, if that is quick and nobody else does."""

    def wait_written(self, work: Work) -> None:
        """Return once `work` is written, or won't be soon."""

    def relieve(self) -> None:
        """Senders wait for what was submitted: make room, if there is a way."""


RETRY_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)
"""The writer of an app's `LogServer` gets these chances, then the server stops: unlike an output of
the daemon it can't tell what will pass from what won't."""


class WriterSink:
    """A sink for a `LogServer` with a writer of its own: written when `submit` returns."""

    is_quick = False

    def __init__(self, server: LogServer) -> None:
        self._server = server

    def submit(self, work: Work) -> None:
        """Write all batches of `work` now."""
        work.expect(1)
        for batch in work.batches:
            self._write(batch)
        work.finish_one()

    def line_up(self, work: Work) -> None:
        """It is not quick."""
        self.submit(work)

    def write_here(self) -> None:
        """All is written."""

    def _write(self, batch: Batch) -> None:
        for pause_s in RETRY_PAUSES_S:
            try:
                self._server.write_prepared(batch)
            except Exception as exc:
                logger.warning("can't write %d records, retrying: %s", len(batch), exc)
                time.sleep(pause_s)
            else:
                return
        self._server.write_prepared(batch)

    def wait_written(self, work: Work) -> None:
        """Nothing is left to wait for."""

    def relieve(self) -> None:
        """There is no other place."""

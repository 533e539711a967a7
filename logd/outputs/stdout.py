"""Entries on the daemon's standard output, for a terminal, a pipe or a container's log.

Nothing here outlives the process, so there are no marks. A reader may be slow: the output
waits for it in short steps and is unavailable meanwhile, so that a reader who stopped for good
does not keep the daemon from stopping. A reader who hung up gets nothing more, and nobody waits
for it: a daemon with other outputs goes on.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from logd.outputs.base import (
    Output,
    OutputSettings,
    OutputStatus,
    OutputUnavailable,
    OutputUnusable,
)

if TYPE_CHECKING:
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

# A pipe that is ready takes this much without making the writer wait.
_PIPE_BYTES = 4096
_PATIENCE_S = 1.0


class StdoutOutput(Output):
    """Writes entries to a file descriptor.

    Args:
        settings: of these only the line format counts.
        descriptor: what is written to; stays the caller's and keeps its flags.
        patience_s: how long it waits for a reader before it is unavailable.
        clock: tells the time, in seconds since the epoch.
    """

    name = "stdout"

    def __init__(
        self,
        settings: OutputSettings,
        *,
        descriptor: int = 1,
        patience_s: float = _PATIENCE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._line_format = settings.line_format
        self._descriptor = descriptor
        self._patience_ms = int(patience_s * 1000)
        self._clock = clock
        self._piece_bytes = _PIPE_BYTES
        # The end of entries of which the reader has got the beginning.
        self._rest = memoryview(b"")
        self._begun: Batch | None = None
        self._is_hung_up = False
        self._written = 0
        self._lost = 0
        self._last_error: tuple[str, float] | None = None

    def open(self) -> Mapping[bytes, int]:
        """See `Output.open`."""
        try:
            mode = os.fstat(self._descriptor).st_mode
        except OSError as exc:
            raise OutputUnusable(f"{self.name} is closed: {exc.strerror}") from exc
        # A disk is never waited for by poll(); everything else may have a slow reader.
        self._piece_bytes = 1 << 30 if stat.S_ISREG(mode) else _PIPE_BYTES
        self._is_hung_up = False
        return {}

    def write(self, batches: Sequence[Batch]) -> None:
        """See `Output.write`. A batch that was begun is finished when it is given again."""
        for done, batch in enumerate(batches):
            if batch is not self._begun:
                self._finish(done)
                self._begun = batch
                if not self._is_hung_up:
                    self._rest = memoryview(self._line_format.encode_batch(batch))
            self._finish(done)
            self._begun = None
            if self._is_hung_up:
                self._lost += len(batch)
            else:
                self._written += len(batch)

    def _finish(self, batches_done: int) -> None:
        """Write what is left of the entries begun."""
        while self._rest and not self._is_hung_up:
            try:
                if not self._is_ready():
                    raise self._unavailable("nobody reads it", batches_done)
                written = os.write(self._descriptor, self._rest[: self._piece_bytes])
                self._rest = self._rest[written:]
            except BlockingIOError:
                continue
            except OSError as exc:
                if exc.errno != errno.EPIPE:
                    raise self._unavailable(exc.strerror or str(exc), batches_done) from exc
                self._hang_up()

    def _is_ready(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(self._patience_ms))

    def _hang_up(self) -> None:
        self._is_hung_up = True
        self._rest = memoryview(b"")
        self._last_error = (f"{self.name}: the reader hung up", self._clock())
        logger.error("%s: the reader hung up; nothing more is written there", self.name)

    def _unavailable(self, reason: str, batches_done: int) -> OutputUnavailable:
        text = f"{self.name}: {reason}"
        self._last_error = (text, self._clock())
        return OutputUnavailable(text, batches_done=batches_done)

    def forget(self, clients: Sequence[bytes]) -> None:
        """See `Output.forget`; there are no marks."""

    def status(self) -> OutputStatus:
        """See `Output.status`."""
        details = {"lost": str(self._lost)} if self._lost else {}
        return OutputStatus(
            name=self.name,
            current="reader hung up" if self._is_hung_up else "standard output",
            lines=self._written,
            written=self._written,
            last_error=self._last_error,
            details=details,
        )

    def close(self) -> None:
        """See `Output.close`; tries once more to write the end of the last entry."""
        try:
            self._finish(0)
        except OutputUnavailable as exc:
            logger.warning("%s; the last entry is not complete", exc)
        self._rest = memoryview(b"")

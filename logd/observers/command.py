"""Runs a command for records."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from logd.observers.delivery import DeliveryFailed, DeliveryQueue, DeliveryRefused
from logd.observers.records import JobSelection, record_as_dict, to_json

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["Command"]

# The status by which programs say "try again later" (EX_TEMPFAIL of sysexits.h).
_TEMPORARY_FAILURE = 75


class Command:
    """Runs a command and gives it records on its standard input, one JSON object a line.

    One process takes the records that came since the last one ended: never two at a time. The lines
    have the fields of `record_as_dict`. No shell is in between and nothing of a record becomes an
    argument, so that no text in a log can become a command. The process leads a process group of
    its own; when its time is over the whole group is killed. Exit status 0: it has taken the
    records. 75: it is run again with the same records later. Any other: the records are lost, and
    counted. Its standard output is thrown away, its standard error is the daemon's.

    Args:
        command: the program and its arguments; a str is split as a shell would.
        cats: only records of these categories; None: any.
        pattern: only records in whose message this regular expression is found; None: any.
        timeout_s: how long the process may run.
        batch_records, interval_s, max_records, max_bytes, tries, backoff_s: see `DeliveryQueue`.
        clock: seconds that only go forward.

    Raises:
        ValueError: an empty command, or a limit that makes no sense.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        cats: Sequence[str] | None = None,
        pattern: str | None = None,
        *,
        timeout_s: float = 30.0,
        batch_records: int = 1_000,
        interval_s: float = 1.0,
        max_records: int = 10_000,
        max_bytes: int = 8 * 1024 * 1024,
        tries: int = 3,
        backoff_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = shlex.split(command) if isinstance(command, str) else list(command)
        if not self._command:
            raise ValueError("command: expected a program and its arguments, got nothing")
        self._selection = JobSelection(cats, pattern)
        self.queue: DeliveryQueue[bytes] = DeliveryQueue(
            f"command {self._command[0]}",
            self._run,
            max_records=max_records,
            max_bytes=max_bytes,
            batch_records=batch_records,
            interval_s=interval_s,
            tries=tries,
            backoff_s=backoff_s,
            timeout_s=timeout_s,
            clock=clock,
        )

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Have the command run for the current record if it is wanted. Never waits.

        Raises:
            DeliveryLost: earlier records were not taken.
        """
        job = jobhist[-1]
        if job in self._selection:
            line = to_json(record_as_dict(job)) + b"\n"
            self.queue.put(line, len(line))

    def close(self, timeout_s: float = 5.0) -> bool:
        """Run the command for what waits, within `timeout_s`; returns whether all was taken."""
        return self.queue.close(timeout_s)

    def _run(self, lines: Sequence[bytes], timeout_s: float) -> None:
        try:
            process = subprocess.Popen(  # noqa: S603  # the operator's own command, no shell
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as exc:
            raise DeliveryFailed(f"can't be run: {exc}") from exc
        with process:
            try:
                process.communicate(b"".join(lines), timeout=timeout_s)
            except subprocess.TimeoutExpired as exc:
                os.killpg(process.pid, signal.SIGKILL)
                raise DeliveryRefused(f"killed after {timeout_s:g} s") from exc
        if process.returncode == _TEMPORARY_FAILURE:
            raise DeliveryFailed("exit status 75")
        if process.returncode != 0:
            raise DeliveryRefused(_how_it_ended(process.returncode))


def _how_it_ended(returncode: int) -> str:
    if returncode < 0:
        return f"ended by signal {signal.Signals(-returncode).name}"
    return f"exit status {returncode}"

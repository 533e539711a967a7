"""The worker processes of the web server: who does what, how long, and what if one hangs.

A request waits for a free worker, at most `QUEUE_S`. If the browser hangs up, its task ends within
one block. A task that does not end in time (a regular expression that explodes) is killed with
its process, and a fresh one takes its place.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from logd.web.tasks import Failed

QUEUE_S = 10.0
GRACE_S = 5.0
"""How much longer than its budget a task may take before its process is killed."""

FIRST_READ_S = 900.0
"""How long the ledger may take to read all of the log for the first time."""

START_S = 10.0
"""How much longer the first task of a fresh process may take: it imports and opens."""

MAX_ANSWER_BYTES = 64 << 20

logger = logging.getLogger(__name__)


class Worker:
    """One process; does one task at a time.

    Args:
        settings: the line that it is told first.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._number = 0
        self._is_fresh = True
        self._starting = asyncio.Lock()

    async def run(
        self, task: str, parameters: Mapping[str, Sequence[str]], only: Sequence[str], most_s: float
    ) -> dict[str, Any]:
        """Do a task; cancelling ends it.

        Raises:
            Failed: the task can't be done, took too long, or the process died.
        """
        process = await self._started()
        self._number += 1
        number = self._number
        request = {"id": number, "task": task, "parameters": parameters, "only": list(only)}
        limit = most_s + START_S if self._is_fresh else most_s
        answering = asyncio.ensure_future(self._ask(process, request))
        try:
            answer = await asyncio.wait_for(asyncio.shield(answering), limit)
        except TimeoutError:
            answering.cancel()
            self._kill()
            raise Failed(
                503,
                "too_slow",
                f"the search took over {limit:g} s and was ended",
                "A regular expression may be too greedy: try a plain text, or a shorter time.",
            ) from None
        except asyncio.CancelledError:
            await self._cancel(process, number, answering)
            raise
        except (OSError, EOFError, ValueError, asyncio.IncompleteReadError) as exc:
            self._kill()
            raise Failed(503, "worker_died", "the reading process ended; try again") from exc
        self._is_fresh = False
        if "failed" in answer:
            raise Failed(**answer["failed"] | {"text": answer["failed"]["text"]})
        done: dict[str, Any] = answer["ok"]
        return done

    async def _ask(self, process: asyncio.subprocess.Process, request: object) -> dict[str, Any]:
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        assert process.stdout is not None  # noqa: S101 - likewise
        process.stdin.write(json.dumps(request).encode() + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _cancel(
        self,
        process: asyncio.subprocess.Process,
        number: int,
        answering: asyncio.Future[dict[str, Any]],
    ) -> None:
        try:
            assert process.stdin is not None  # noqa: S101 - a pipe was asked for
            process.stdin.write(json.dumps({"cancel": number}).encode() + b"\n")
            # Its answer has to be read, or the next task would get it.
            await asyncio.shield(asyncio.wait_for(answering, GRACE_S))
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.CancelledError):
            self._kill()

    async def start(self) -> None:
        """Have the process there before there is something to do."""
        await self._started()

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            process = self._process
            if process is not None and process.returncode is None:
                return process
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "logd.web.worker", stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, limit=MAX_ANSWER_BYTES,
            )  # fmt: skip
            self._is_fresh = True
            assert process.stdin is not None  # noqa: S101 - a pipe was asked for
            process.stdin.write(json.dumps(self._settings).encode() + b"\n")
            return process

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        self._process = None

    async def close(self) -> None:
        """End the process."""
        process = self._process
        if process is not None and process.returncode is None:
            self._kill()
            await process.wait()


class Workers:
    """Some workers for scans, and one each for what is quick (pages of the list, single records),
    for live streams, and for reading all of the log once, for the ledger.

    So nobody's search, and no expression that explodes in it, holds up the streams of the others.

    Args:
        settings: see `Worker`.
        number: of workers for scans.
        scan_s: the budget of a scan.
    """

    QUICK = frozenset({"about", "entries", "entry", "context", "export"})
    LIVE = frozenset({"follow"})
    SLOW = frozenset({"ledger"})

    def __init__(self, settings: Mapping[str, Any], number: int, scan_s: float) -> None:
        self._scan_s = scan_s
        self._all = [Worker(settings) for _ in range(number + 3)]
        self._warming: asyncio.Future[list[BaseException | None]] | None = None
        self._scanning: asyncio.Queue[Worker] = asyncio.Queue()
        self._quick: asyncio.Queue[Worker] = asyncio.Queue()
        self._live: asyncio.Queue[Worker] = asyncio.Queue()
        self._slow: asyncio.Queue[Worker] = asyncio.Queue()
        quick, live, slow, *scanning = self._all
        self._quick.put_nowait(quick)
        self._live.put_nowait(live)
        self._slow.put_nowait(slow)
        for worker in scanning:
            self._scanning.put_nowait(worker)

    async def run(
        self, task: str, parameters: Mapping[str, Sequence[str]], only: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Do a task by a worker that is free.

        Raises:
            Failed: no worker is free in time, or see `Worker.run`.
        """
        free = self._scanning
        most_s = self._scan_s * 4 + GRACE_S
        if task in self.QUICK or task in self.LIVE:
            free = self._quick if task in self.QUICK else self._live
            most_s = self._scan_s + GRACE_S
        elif task in self.SLOW:
            free, most_s = self._slow, FIRST_READ_S
        try:
            worker = await asyncio.wait_for(free.get(), QUEUE_S)
        except TimeoutError:
            raise Failed(
                503, "busy", f"too many searches at a time: none of them ended within {QUEUE_S:g} s"
            ) from None
        try:
            return await worker.run(task, parameters, only, most_s)
        finally:
            free.put_nowait(worker)

    def warm(self) -> None:
        """Start all processes now; the first question finds them there."""
        if self._warming is None or self._warming.done():
            starting = (worker.start() for worker in self._all)
            self._warming = asyncio.gather(*starting, return_exceptions=True)

    async def close(self) -> None:
        """End all of them."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in self._all))

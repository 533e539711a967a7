"""Asks the threads of outputs to act between two writes: to rotate, to open files again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logd.outputs.worker import OutputWorker

REQUEST_S = 10.0
"""How long to wait for the answer of an output's thread."""


async def ask_outputs(
    workers: Sequence[OutputWorker], method: Callable[[OutputWorker], None]
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
    answers = {_ask(worker, method): worker for worker in workers}
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
    worker: OutputWorker, method: Callable[[OutputWorker], None]
) -> asyncio.Future[str | None]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str | None] = loop.create_future()

    def set_answer(text: str | None) -> None:
        if not answer.done():
            answer.set_result(text)

    def tell(text: str | None) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(set_answer, text)

    def request() -> None:
        try:
            method(worker)
        except Exception as exc:
            tell(str(exc) or type(exc).__name__)
            raise
        tell(None)

    worker.call(request)
    return answer

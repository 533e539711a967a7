"""An application that logs: calls twelve frames deep, in bursts, each call timed with its fellows.

Run as `python -m tests.bench.caller HOW PORT CALLS`; prints a JSON object: `calls`, `block_us` (a
list with the time of each block of a hundred calls, in microseconds a call) and `cpu_us` (CPU of
all threads a call, with what it takes to deliver the records). Between bursts everything is
delivered, so that no call waits for a full buffer, which is another benchmark's subject.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener, SocketHandler
from queue import SimpleQueue
from typing import Any, NamedTuple

DEPTH = 12
BLOCK = 100
BLOCKS_A_BURST = 100
WARM_UP_BURSTS = 3

MESSAGES = [f"order {number} accepted, waiting for payment" for number in range(BLOCK)]


class Caller(NamedTuple):
    """A way to log: one call, and how to wait until all is delivered."""

    call: Callable[..., object]
    arguments: tuple[str, ...]
    deliver: Callable[[], object]


class DiscardingHandler(logging.Handler):
    """Takes records and does nothing with them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Nothing."""


def discard(port: int) -> Caller:
    """`logging` alone, what every handler comes on top of."""
    return _logging_caller(DiscardingHandler(), lambda: None)


def socket_handler(port: int) -> Caller:
    """`logging` with `SocketHandler`: a pickle and a send in each call."""
    return _logging_caller(SocketHandler("127.0.0.1", port), lambda: None)


def queue_handler(port: int) -> Caller:
    """`logging` with `QueueHandler`, whose listener has a `SocketHandler`."""
    queue: SimpleQueue[Any] = SimpleQueue()
    QueueListener(queue, SocketHandler("127.0.0.1", port)).start()

    def deliver() -> None:
        while not queue.empty():
            time.sleep(0.001)

    return _logging_caller(QueueHandler(queue), deliver)


def picologging_handler(port: int) -> Caller:
    """Picologging with its `SocketHandler`."""
    picologging: Any = __import__("picologging.handlers")
    logger = picologging.getLogger("shop")
    logger.setLevel(picologging.INFO)
    logger.addHandler(picologging.handlers.SocketHandler("127.0.0.1", port))
    return Caller(logger.error, (), lambda: None)


def logd_handler(port: int) -> Caller:
    """`logging` with logd's handler."""
    from logd_client import LogdHandler

    handler = LogdHandler("127.0.0.1", (port,))
    return _logging_caller(handler, handler.flush)


def log_with_path(port: int) -> Caller:
    """A `Log` that reads five steps of the call path, as by default."""
    from logd_client import socketclient

    log = socketclient.createClientLog("127.0.0.1", (port,))
    return Caller(log, ("E",), log.flush)


def log_without_path(port: int) -> Caller:
    """A `Log` that reads no call path."""
    from logd_client import socketclient

    log = socketclient.createClientLog("127.0.0.1", (port,), extractStack=False)
    return Caller(log, ("E",), log.flush)


CALLERS = {
    function.__name__: function
    for function in (
        discard,
        socket_handler,
        queue_handler,
        picologging_handler,
        logd_handler,
        log_with_path,
        log_without_path,
    )
}


def main() -> None:
    """Measure and print."""
    how, port, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    caller = CALLERS[how](port)
    _at_depth(DEPTH, caller, WARM_UP_BURSTS)
    bursts = max(1, calls // (BLOCK * BLOCKS_A_BURST))
    cpu_before = time.process_time()
    blocks = _at_depth(DEPTH, caller, bursts)
    made = len(blocks) * BLOCK
    result = {
        "calls": made + WARM_UP_BURSTS * BLOCK * BLOCKS_A_BURST,
        "block_us": [nanoseconds / 1000 / BLOCK for nanoseconds in blocks],
        "cpu_us": (time.process_time() - cpu_before) / made * 1e6,
    }
    sys.stdout.write(json.dumps(result))


def _logging_caller(handler: logging.Handler, deliver: Callable[[], object]) -> Caller:
    logger = logging.getLogger("shop")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return Caller(logger.error, (), deliver)


def _at_depth(depth: int, caller: Caller, bursts: int) -> list[int]:
    """The bursts from `depth` frames further down the stack; nanoseconds of each block."""
    return _at_depth(depth - 1, caller, bursts) if depth else _bursts(caller, bursts)


def _bursts(caller: Caller, bursts: int) -> list[int]:
    call, arguments, deliver = caller
    clock = time.perf_counter_ns
    blocks = []
    for _ in range(bursts):
        for _ in range(BLOCKS_A_BURST):
            started = clock()
            for msg in MESSAGES:
                call(msg, *arguments)
            blocks.append(clock() - started)
        deliver()
    return blocks


if __name__ == "__main__":
    main()

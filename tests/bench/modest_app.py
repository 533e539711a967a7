"""A program that logs at a modest rate and says what that cost it; see `app_cpu.py`.

Run as `python modest_app.py HANDLER PORT RATE SECONDS`; prints how many records it logged and its
CPU for one, in microseconds. As `shop.py` it imports nothing of the benchmarks.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import time

SETTLE_S = 0.5
"""From the first record, which connects, to those that count."""


def handler_for(kind: str, port: int) -> logging.Handler:
    """The handler; one that discards for "null"."""
    if kind == "null":
        return logging.NullHandler()
    if kind == "socket":
        return logging.handlers.SocketHandler("127.0.0.1", port)
    from logd_client import LogdHandler

    return LogdHandler("127.0.0.1", port)


def main() -> None:
    """Log for so many seconds."""
    kind, port, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    handler = handler_for(kind, port)
    log = logging.getLogger("shop.cart")
    log.propagate = False
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.info("begun")
    time.sleep(SETTLE_S)
    records = int(rate * float(seconds))
    started, cpu_s = time.monotonic(), time.process_time()
    for i in range(records):
        log.info("order %d paid", i, extra={"request_id": f"r{i}"})
        time.sleep(max(0.0, started + (i + 1) / rate - time.monotonic()))
    cpu_s = time.process_time() - cpu_s
    handler.close()
    sys.stdout.write(f"{records + 1} {1e6 * cpu_s / records}\n")


if __name__ == "__main__":
    main()

"""An application that logs at a steady rate; each message says when it was given to the logger.

Run as `python -m tests.bench.paced HOW PORT SECONDS RATE`, HOW as in `caller.py`, or "syslog" for
octet-counted RFC 5424 frames, one a call.
"""

from __future__ import annotations

import sys
import time
from socket import create_connection

from tests.bench.caller import CALLERS, Caller

TICK_S = 0.001
"""Calls are made in small groups at this distance: what `sleep` can keep."""

MARK = "probe "
"""Stands before the time of the call, in nanoseconds since the epoch."""


def syslog(port: int) -> Caller:
    """A frame for rsyslog with each call, as simple as can be."""
    connection = create_connection(("127.0.0.1", port))
    head = "<14>1 2026-11-22T11:10:00.000+00:00 shop E 4711 1 "
    items = '[logd@32473 thread="worker-1" func="charge" path="views.py(42)<-urls.py(10)"] '

    def call(msg: str) -> None:
        frame = f"{head}{items}{msg}".encode()
        connection.sendall(b"%d %b" % (len(frame), frame))

    return Caller(call, (), lambda: None)


def main() -> None:
    """Log for so many seconds."""
    how, port, seconds, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    call, arguments, deliver = (syslog if how == "syslog" else CALLERS[how])(port)
    clock = time.time_ns
    group = max(1, int(rate * TICK_S))
    started = time.perf_counter()
    for tick in range(int(seconds / TICK_S)):
        time.sleep(max(0.0, started + tick * TICK_S - time.perf_counter()))
        for _ in range(group):
            call(f"{MARK}{clock()}", *arguments)
    deliver()


if __name__ == "__main__":
    main()

"""An app with an unmodified SocketHandler: logs at a pace, prints its slowest calls in seconds.

python plain_sender.py PORT RECORDS RATE NUMBER

Two numbers: the slowest call, and the slowest one less the time in which it could have run and had
no processor: twenty apps and a daemon on two processors wait for those, too. Linux counts that,
see `/proc/PID/schedstat` (Documentation/scheduler/sched-stats.rst of its sources).
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.chaos.sender import text_of  # the path has to be there first


def main() -> None:
    """Log, then tell."""
    port, records, number = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
    rate = float(sys.argv[3])
    log = logging.Logger("app")
    handler = logging.handlers.SocketHandler("127.0.0.1", port)
    log.addHandler(handler)
    slowest_s = slowest_running_s = 0.0
    schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)

    def waited_s() -> float:
        return int(os.pread(schedstat, 100, 0).split()[1]) / 1e9

    started = time.perf_counter()
    for one in range(records):
        late_s = time.perf_counter() - started - one / rate
        if late_s < 0:
            time.sleep(-late_s)
        waited_before_s, before = waited_s(), time.perf_counter()
        log.warning("%s", text_of(number, one), extra={"request_id": f"r-{one}", "ms": one % 97})
        took_s = time.perf_counter() - before
        slowest_s = max(slowest_s, took_s)
        if took_s > slowest_running_s:
            running_s = took_s - (waited_s() - waited_before_s)
            slowest_running_s = max(slowest_running_s, running_s)
    handler.close()
    print(slowest_s, slowest_running_s)


if __name__ == "__main__":
    main()

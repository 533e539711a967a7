"""An app with an unmodified SocketHandler: logs at a pace, prints its slowest call in seconds.

python plain_sender.py PORT RECORDS RATE NUMBER
"""

from __future__ import annotations

import logging
import logging.handlers
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
    slowest_s, started = 0.0, time.perf_counter()
    for one in range(records):
        late_s = time.perf_counter() - started - one / rate
        if late_s < 0:
            time.sleep(-late_s)
        before = time.perf_counter()
        log.warning("%s", text_of(number, one), extra={"request_id": f"r-{one}", "ms": one % 97})
        slowest_s = max(slowest_s, time.perf_counter() - before)
    handler.close()
    print(slowest_s)


if __name__ == "__main__":
    main()

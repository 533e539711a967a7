"""`make demo`: a daemon, a shop that logs, and the page; until Ctrl-C.

The past is written first: six hours, with a deploy that broke something and a rollback. Then
the shop goes on logging through a real daemon, by an ordinary SocketHandler for each host.
"""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from logd.query.files.indexkeeping import keep
from logd.query.files.listing import RingFiles
from tests.demo.history import write_history
from tests.demo.hosts import HOST_ITEM
from tests.demo.shop import HOSTS, STORY_S, Logged, records
from tests.ports import reserved_port

_LEVELS = {"D": 10, "I": 20, "W": 30, "E": 40}
READY_S = 60.0


def send_live(port: int, began: float, stop: threading.Event) -> None:
    """Log what the shop does from now on, as it does it."""
    handlers = {host: logging.handlers.SocketHandler("127.0.0.1", port) for host in HOSTS}
    for one in records(time.time(), time.time() + 7 * 86_400, began - STORY_S, seed=6):
        if stop.wait(max(0.0, one.time - time.time())):
            break
        handlers[one.host].emit(_log_record(one))
    for handler in handlers.values():
        handler.close()


def _log_record(one: Logged) -> logging.LogRecord:
    values = {
        "name": one.logger,
        "levelno": _LEVELS[one.cat],
        "msg": one.msg,
        "pathname": one.file,
        "lineno": one.line,
        "funcName": one.func,
        "process": one.pid,
        "threadName": one.thread,
        "created": time.time(),
    }
    return logging.makeLogRecord(values | one.items | {HOST_ITEM: one.host})


def main() -> int:
    """Run it; the status of the daemon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--web", default="127.0.0.1:9803", help="where the page listens")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logd-demo-") as folder, reserved_port() as port:
        pattern = Path(folder) / "logd_%d.log"
        began = time.time()
        print("Writing six hours of a shop's log ...", flush=True)
        print(f"{write_history(pattern, began):,} records. Ctrl-C ends the demo.", flush=True)
        # As a daemon would have done by now: pictures come from the indexes at once.
        for _ in keep(RingFiles(str(pattern))):
            pass
        print("Which error is new since the deploy, and for which users?", flush=True)
        names = ",".join(f"{address}={name}" for address, name in HOSTS.items())
        daemon = subprocess.Popen(
            [sys.executable, "-m", "logd", "serve", "--port", str(port), "--file", str(pattern),
             "--rotate-lines", "50000", "--rotate-count", "10",
             "--filter", "tests.demo.hosts:of_its_host",
             "--web", options.web, "--web-host-names", names],
        )  # fmt: skip
        stop = threading.Event()
        sender = threading.Thread(target=send_live, args=(port, began, stop))
        sender.start()
        signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
        try:
            return daemon.wait()
        except KeyboardInterrupt:
            # The terminal told the daemon, too.
            return daemon.wait()
        finally:
            stop.set()
            sender.join()


if __name__ == "__main__":
    sys.exit(main())

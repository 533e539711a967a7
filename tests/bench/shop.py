"""A program as users have them: `logging` with one handler, a call and a `send` for each record.

Run as `python shop.py HANDLER PORT RECORDS RATE LOAD NUMBER`: so many records, so many a second (0:
as fast as they are taken). HANDLER is "socket", "logd" or "syslog"; LOAD one of `LOADS`.

It runs from its own file with nothing but the standard library and `logd_client`, and imports
nothing of the benchmarks: call sites, modules and start are those of a program.
"""

from __future__ import annotations

import logging
import logging.handlers
import random
import socket
import sys
import time
import uuid
from collections.abc import Callable

LOADS = ("plain", "extras", "sites", "tracebacks", "big", "request")

SITES = 5000
BIG_CHARS = 10_000

Log = Callable[[int, str], None]
"""Logs record so and so, with a text that says when."""


def handler_for(kind: str, port: int) -> logging.Handler:
    """The handler that sends to a port."""
    if kind == "logd":
        from logd_client import LogdHandler

        return LogdHandler(host="127.0.0.1", ports=(port,))
    if kind == "syslog":
        address = ("127.0.0.1", port)
        handler = logging.handlers.SysLogHandler(address, socktype=socket.SOCK_STREAM)
        handler.append_nul = False
        handler.setFormatter(logging.Formatter("shop: %(message)s\n"))
        return handler
    return logging.handlers.SocketHandler("127.0.0.1", port)


def site(number: int) -> Callable[[logging.Logger, int, str], None]:
    """A function of its own with a logging call, in one of 400 files."""
    text = f"def f{number}(log, i, at):\n    log.info('order %d of customer %s %s', i, 'c', at)\n"
    names: dict[str, Callable[[logging.Logger, int, str], None]] = {}
    exec(compile(text, f"/srv/app/module_{number % 400}.py", "exec"), names)
    return names[f"f{number}"]


def load_of(kind: str, log: logging.Logger, seed: int) -> Log:
    """What is called for each record."""
    chance = random.Random(seed)
    ids = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(5000)]
    sites = [site(number) for number in range(SITES)] if kind == "sites" else []
    long_text = "x" * BIG_CHARS

    def plain(i: int, at: str) -> None:
        log.info("order %d of customer %s %s", i, f"c{i % 977}", at)

    def extras(i: int, at: str) -> None:
        more = {"request_id": ids[i % 5000], "user": i % 3001, "ms": i % 97 + 0.5}
        log.info("order %d of customer %s %s", i, f"c{i % 977}", at, extra=more)

    def tracebacks(i: int, at: str) -> None:
        if i % 10:
            plain(i, at)
            return
        try:
            {}[i]
        except KeyError:
            log.exception("order %d failed %s", i, at)

    def big(i: int, at: str) -> None:
        log.info("order %d %s %s", i, at, long_text)

    def request(i: int, at: str) -> None:
        log.info("order %d %s", i, at, extra={"request_id": f"r{i}"})

    def any_site(i: int, at: str) -> None:
        sites[chance.randrange(SITES)](log, i, at)

    loads: dict[str, Log] = {
        "plain": plain,
        "extras": extras,
        "sites": any_site,
        "tracebacks": tracebacks,
        "big": big,
        "request": request,
    }
    return loads[kind]


def main() -> None:
    """Log, then close the handler as a program does at its end."""
    kind, port, records, rate, load, number = sys.argv[1:]
    handler = handler_for(kind, int(port))
    log = logging.getLogger(f"shop.cart.{number}")
    log.propagate = False
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    call = load_of(load, log, int(number))
    pause_s = 1 / float(rate) if float(rate) else 0.0
    started = time.monotonic()
    for i in range(int(records)):
        call(i, f"at={time.time_ns()};")
        if pause_s:
            time.sleep(max(0.0, started + (i + 1) * pause_s - time.monotonic()))
    handler.close()


if __name__ == "__main__":
    main()

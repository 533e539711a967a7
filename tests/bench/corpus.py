"""The log that every contender is given: what a web shop of eight threads would say.

A `Stream` is what one connection sends: a hundred places in a program, call paths of three to five
steps, messages of 40 to 120 characters with changing values, 174 bytes on average as a line. It
knows the exact text that has to stand in a log file afterwards. How records travel is not its
concern: see `encoders.py`.
"""

from __future__ import annotations

import random
import sys
import time
from functools import cache
from itertools import cycle, islice
from typing import NamedTuple, TypeVar

from logd.records.callpath import Path
from logd.records.context import Context

_Value = TypeVar("_Value")

START_MS = 1_795_345_800_000
"""Time of the first record, in milliseconds since the epoch."""

RECORDS_A_MS = 20
"""How many records share a millisecond: 20,000 records a second of the log's own time."""

_POOLS = 8

POOL = 50_000
"""Different pairs of place and message; records after so many begin anew with other ids, times."""

_CATEGORIES = ("D", "I", "I", "I", "I", "I", "W", "E")
_LOGGERS = ("shop.orders", "shop.cart", "shop.payment", "shop.stock", "shop.web.session")
_FILES = ("views.py", "urls.py", "orders.py", "cart.py", "pay.py", "wsgi.py", "db.py", "auth.py")
_FUNCTIONS = ("charge", "checkout", "reserve", "get", "handle", "add_item", "load_user", "render")
_MESSAGES = (
    "order %d accepted, %d items, waiting for payment",
    "payment of order %d failed after %d attempts, code 51",
    "reserved %d pieces of article %d in warehouse north",
    "GET /shop/articles/%d answered 200 in %d ms",
    "POST /shop/cart/%d answered 302 in %d ms",
    "session of user %d renewed for %d more minutes",
    "cache miss for key article:%d, loaded in %d us",
    "query took %d us and gave %d rows: SELECT id, name FROM article WHERE shelf = 7",
    "user %d logged in from the app, %d sessions open",
    "mail for order %d queued behind %d others, sender shop@example.org, template confirmation",
    "stock of article %d is down to %d, asking for more",
    "retrying delivery of webhook %d in %d seconds, the peer did not answer, last status 503",
)


class Stream(NamedTuple):
    """The records of one connection, in columns of the same length.

    Attributes:
        contexts: the places they come from, see `logd.records.context.Context`.
        loggers: for each context the name of its logger in the standard library's `logging`.
        places: for each record the position of its context.
        msgids: 1, 2, 3, ...
        times_ms: milliseconds since the epoch.
        msgs: the texts.
    """

    contexts: tuple[Context, ...]
    loggers: tuple[str, ...]
    places: list[int]
    msgids: range
    times_ms: list[int]
    msgs: list[str]


def stream(count: int, number: int = 0) -> Stream:
    """`count` records of connection `number`, which is told from others by its process id."""
    contexts, loggers = _places(4711 + number)
    places, msgs = _pool(number % _POOLS)
    times = [START_MS + row // RECORDS_A_MS for row in range(count)]
    return Stream(
        contexts,
        loggers,
        _repeated(places, count),
        range(1, count + 1),
        times,
        _repeated(msgs, count),
    )


def seconds(time_ms: int) -> float:
    """The time as a float that shows the same millisecond, be it rounded or cut off."""
    return time_ms / 1000 + 0.0002


def time_text(time_ms: int, zone: str) -> str:
    """The time as in `2026-11-22T11:10:00.123` + `zone`, in UTC."""
    return f"{_second_text(time_ms // 1000)}.{time_ms % 1000:03d}{zone}"


def path_text(context: Context) -> str:
    """The call path as it stands in a line: `views.py(42)<-urls.py(10)`."""
    return _path_text(context.path)


def lines(given: Stream, zone: str = "+0000", *, is_whole: bool = True) -> bytes:
    """The text of all records as logd writes it by default.

    Args:
        given: the records.
        zone: UTC as the contender writes it.
        is_whole: False without microseconds and the thread's id, which a contender does not get.
    """
    heads, tails = {}, {}
    for place in set(given.places):
        context = given.contexts[place]
        heads[place] = f" {context.cat} {context.pid}#"
        tid = f" {context.tid}" if is_whole else ""
        tails[place] = f"{tid}\t{context.threadname}\t{context.cfunc}\t{path_text(context)}\t\n"
    return "".join(
        [
            f"{time_text(time_ms, zone)}{heads[place]}{msgid} {msg}"
            f"{_FRACTION if is_whole else ''}{tails[place]}"
            for place, msgid, time_ms, msg in zip(
                given.places, given.msgids, given.times_ms, given.msgs, strict=True
            )
        ]
    ).encode()


def frame_lines(given: Stream) -> bytes:
    """The text of the records when they came by `SocketHandler`: no ids, one step of the path."""
    heads, tails = {}, {}
    for place in set(given.places):
        context = given.contexts[place]
        step = path_text(context).partition("<-")[0]
        logger = given.loggers[place]
        heads[place] = f" {context.cat} {context.pid}#0 "
        tails[place] = (
            f" {context.tid}\t{context.threadname}\t{context.cfunc}\t{step}\tlogger={logger}\n"
        )
    return "".join(
        [
            f"{time_text(time_ms, '+0000')}{heads[place]}{msg}{_FRACTION}{tails[place]}"
            for place, time_ms, msg in zip(given.places, given.times_ms, given.msgs, strict=True)
        ]
    ).encode()


_FRACTION = "\t200"
"""The column of what follows the milliseconds."""


@cache
def _path_text(path: Path) -> str:
    return "<-".join(f"{str(name).rpartition('/')[2]}({line})" for name, line in path)


@cache
def _second_text(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _places(pid: int) -> tuple[tuple[Context, ...], tuple[str, ...]]:
    contexts, loggers = _sites()
    return tuple([Context(pid, *context[1:]) for context in contexts]), loggers


@cache
def _sites() -> tuple[tuple[Context, ...], tuple[str, ...]]:
    """A hundred call sites, each reached in two of eight threads."""
    rng = random.Random(1)
    contexts = []
    loggers = []
    for site in range(100):
        logger = _LOGGERS[site % 5]
        package = f"/srv/shop/lib/python3.11/site-packages/{logger.replace('.', '/')}"
        path = tuple(
            (sys.intern(f"{package}/{rng.choice(_FILES)}"), rng.randrange(9, 400))
            for _ in range(rng.randrange(3, 6))
        )
        category = rng.choice(_CATEGORIES)
        function = rng.choice(_FUNCTIONS)
        for thread in rng.sample(range(8), 2):
            tid = 140_000 + thread
            name = sys.intern(f"worker-{thread}")
            contexts.append(Context(0, tid, name, category, path, 12, function))
            loggers.append(logger)
    return tuple(contexts), tuple(loggers)


@cache
def _pool(number: int) -> tuple[list[int], list[str]]:
    rng = random.Random(100 + number)
    places = [rng.randrange(200) for _ in range(POOL)]
    msgs = [
        rng.choice(_MESSAGES) % (rng.randrange(100_000), rng.randrange(1, 400)) for _ in range(POOL)
    ]
    return places, msgs


def _repeated(values: list[_Value], count: int) -> list[_Value]:
    return list(islice(cycle(values), count))

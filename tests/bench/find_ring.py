"""The log that `find.py` asks: ten files of a ring with a million records each, 2 GB, 28 hours.

It is made once and kept in the temporary folder (`logd-bench-find-USER-RECORDS`): that and its
indexes take minutes.
"""

from __future__ import annotations

import getpass
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from logd.query.files.indexkeeping import keep
from logd.query.files.listing import RingFiles
from tests.bench import corpus

FILES = 10
A_SECOND = 100
"""Records a second of the log's own time: ten million take 28 hours."""

START_S = 1_795_345_800
"""When the first record was logged, in seconds since the epoch."""

RARE = "the shelf collapsed under zanzibar"
"""A text that one record of each file has."""

_HOSTS = ("", "@10.0.0.7", "@10.0.0.8", "@10.0.0.9")
_PATTERN = "app_%d.log"


def ring(records_a_file: int) -> Path:
    """The ring with its indexes, made if it is not there; returns the pattern of its files.

    Args:
        records_a_file: of each of its `FILES` files.
    """
    name = f"logd-bench-find-{getpass.getuser()}-{records_a_file}"
    folder = Path(tempfile.gettempdir()) / name
    pattern = folder / _PATTERN
    done = folder / "made"
    if not done.exists():
        folder.mkdir(exist_ok=True)
        for number in range(FILES):
            _make_file(folder / (_PATTERN % number), number, records_a_file)
        for _ in keep(RingFiles(str(pattern))):
            pass
        done.touch()
    return pattern


def _make_file(path: Path, number: int, records: int) -> None:
    first = number * records
    with path.open("wb") as file:
        for begin in range(0, records, corpus.POOL):
            count = min(corpus.POOL, records - begin)
            file.write("".join(_lines(first + begin, count)).encode())
            if begin == 0:
                moment = START_S + first / A_SECOND
                file.write(_line(int(moment * 1000), f" E 1@10.0.0.7#1 {RARE}", "\t200 1\t\t\t\t"))
    last = START_S + (first + records) / A_SECOND
    os.utime(path, (last, last))


def _line(time_ms: int, head: str, tail: str) -> bytes:
    return f"{corpus.time_text(time_ms, '+0000')}{head}{tail}\n".encode()


def _lines(first: int, count: int) -> Iterator[str]:
    given = corpus.stream(corpus.POOL)
    heads, tails = [], []
    for place, context in enumerate(given.contexts):
        host = _HOSTS[place % len(_HOSTS)]
        heads.append(f" {context.cat} {context.pid + place % 5}{host}#")
        tails.append(
            f"\t200 {context.tid}\t{context.threadname}\t{context.cfunc}\t"
            f"{corpus.path_text(context)}\tlogger={given.loggers[place]}\n"
        )
    for number, (place, msg) in enumerate(
        islice(zip(given.places, given.msgs, strict=True), count)
    ):
        time_ms = START_S * 1000 + (first + number) * 1000 // A_SECOND
        text = corpus.time_text(time_ms, "+0000")
        yield f"{text}{heads[place]}{first + number} {msg}{tails[place]}"


def minute_text(record: int) -> str:
    """When a record was logged, as `--since` takes it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(START_S + record / A_SECOND))

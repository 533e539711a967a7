"""The logs that `find.py` asks.

One is ten files of a ring with a million records each, 2 GB, 28 hours. The other is a hundred times
a gigabyte, two months, and only its indexes are real: its files are holes, all but their first
line. Both are made once and kept in the temporary folder (`logd-bench-find-USER-RECORDS`): that
takes minutes.
"""

from __future__ import annotations

import getpass
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from logd.query.files.blocktimes import Blocks, BlockTimes
from logd.query.files.indexkeeping import keep
from logd.query.files.listing import RingFiles
from logd.query.files.sidecar import NEVER, Cell, Index, decoded, path_beside
from logd.query.positions import GENERATION_BYTES, generation_of
from tests.bench import corpus

FILES = 10
A_SECOND = 100
"""Records a second of the log's own time: ten million take 28 hours."""

START_S = 1_795_345_800
"""When the first record was logged, in seconds since the epoch."""

RARE = "the shelf collapsed under zanzibar"
"""A text that one record of each file has."""

SPARSE_FILES, SPARSE_TIMES = 100, 5
"""The files of the large ring, and how often each repeats the first one of the other."""

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


def sparse_ring(pattern: Path, records_a_file: int) -> Path | None:
    """The ring of 100 GB; returns the pattern of its files, None if there is nothing to make it of.

    Args:
        pattern: of the other ring's files.
        records_a_file: of each of those.
    """
    index_file = path_beside(str(pattern.with_name(_PATTERN % 0)))
    if not index_file.exists():
        return None
    folder = pattern.parent / "sparse"
    done = folder / "made"
    if not done.exists():
        folder.mkdir(exist_ok=True)
        known = decoded(index_file.read_bytes())
        for number in range(SPARSE_FILES):
            _make_sparse(folder / (_PATTERN % number), number, known, records_a_file)
        done.touch()
    return folder / _PATTERN


def _make_sparse(path: Path, number: int, known: Index, records: int) -> None:
    # Minutes stay whole minutes.
    span_s = -(-records // A_SECOND // 60) * 60
    first = number * SPARSE_TIMES
    head = _line((START_S + first * span_s) * 1000, " I 1#1 begun", "\t200 1\t\t\t\t")
    with path.open("wb") as file:
        file.write(head)
        file.truncate(known.size * SPARSE_TIMES)
    last_ns = (START_S + (first + SPARSE_TIMES) * span_s) * 10**9
    os.utime(path, ns=(last_ns, last_ns))
    blocks: list[BlockTimes] = []
    cells: list[Cell] = []
    known_cells = list(known.all_cells)
    for copy in range(SPARSE_TIMES):
        later_s = (first + copy) * span_s
        blocks += [
            block._replace(
                place=block.place + copy * known.size,
                end=block.end + copy * known.size,
                first_ms=block.first_ms + later_s * 1000,
                behind_ms=block.behind_ms + later_s * 1000,
                cells_before=block.cells_before + len(cells),
            )
            for block in known.blocks
        ]
        cells += [
            (minute if minute == NEVER else minute + later_s, which, count)
            for minute, which, count in known_cells
        ]
    generation = generation_of(head[:GENERATION_BYTES])
    size = known.size * SPARSE_TIMES
    index = Index(size, last_ns, generation, known.combinations, Blocks.of(blocks))
    path_beside(str(path)).write_bytes(index.encoded(cells, known.all_bits * SPARSE_TIMES))


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

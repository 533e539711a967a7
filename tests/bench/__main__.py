"""`python -m tests.bench`: all benchmarks, one table. See README.md beside this file."""

from __future__ import annotations

import argparse
import compileall
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import (
    app_cpu,
    apps,
    databases,
    find,
    find_tables,
    hostile,
    latency,
    layouts,
    many_connections,
    one_call,
    overload,
    page,
    rotation,
    several,
    startup,
    text_files,
)
from tests.bench.peers import REPOSITORY
from tests.bench.results import Row, Settings, as_json, progress, table

BENCHMARKS: dict[str, Callable[[Settings], Iterator[Row]]] = {
    "apps": apps.apps,
    "steady": apps.steady,
    "app_cpu": app_cpu.app_cpu,
    "batches": text_files.batches,
    "frames": text_files.frames,
    "databases": databases.databases,
    "several": several.several,
    "one_call": one_call.one_call,
    "connections": many_connections.many_connections,
    "latency": latency.latency,
    "overload": overload.overload,
    "hostile": hostile.hostile,
    "startup": startup.startup,
    "rotation": rotation.rotation,
    "find": find.find,
}

BY_NAME = {
    "layouts": layouts.layouts,
    "page": page.page,
    "find_tables": find_tables.find_tables,
}
"""What is run only if it is named; `page` needs a browser (`make browser`)."""


def main() -> int:
    """Run what was asked for; the exit status is 0 also where goals are missed."""
    options = _parser().parse_args()
    # Servers, folders and databases go on every way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    settings = Settings(
        options.size,
        options.rounds or {"full": 3, "quick": 1}.get(options.size, 1),
        options.soak,
    )
    # Users have bytecode: pip makes it when it installs.
    for package in (REPOSITORY / "logd", REPOSITORY / "client" / "logd_client"):
        compileall.compile_dir(package, quiet=1)
    rows: list[Row] = []
    for name in options.only or BENCHMARKS:
        started = time.monotonic()
        progress(name)
        rows += (BENCHMARKS | BY_NAME)[name](settings)
        progress(f"{name}: {time.monotonic() - started:.0f} s")
    sys.stdout.write(table(rows))
    if options.json:
        options.json.write_text(as_json(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--quick",
        dest="size",
        action="store_const",
        const="quick",
        default="full",
        help="less of everything, one round: under a minute",
    )
    sizes.add_argument(
        "--smoke",
        dest="size",
        action="store_const",
        const="smoke",
        help="next to nothing, to see that the benchmarks work; the figures mean nothing",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=BENCHMARKS | BY_NAME,
        help="this benchmark; may be repeated",
    )
    parser.add_argument("--rounds", type=int, help="turns of each contender (3; quick: 1)")
    parser.add_argument("--soak", type=int, metavar="SECONDS", help="how long overload lasts")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())

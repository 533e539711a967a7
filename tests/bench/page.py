"""The page of `logd web` in a real browser: how soon it is there, and what it costs the daemon.

A daemon writes the log, closed files with their indexes and one that grows; a browser looks at it
as `tests/web/browser/measure.mjs` is told to.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from logd_client import createClientLog
from tests.bench import encoders
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd_server
from tests.bench.processes import ContenderFailed, Server, free_port
from tests.bench.results import Row, Settings, at_least, at_most, progress
from tests.bench.senders import Senders
from tests.web.serving import Page, serving
from tests.web.test_browser import HERE, environment

LINES_A_FILE = 1_000_000
INDEX_S = 120.0
CHUNK = 1_000_000
LIVE_S = 5
FLOOD = 50_000
BURST_S = 0.01
"""A flood is called in bursts: no call sleeps for 20 µs."""

ALL_OF_IT = "/?from=0"
MIB = 1 << 20

Ask = Callable[..., Any]


def page(settings: Settings) -> Iterator[Row]:
    """The goals of the page, each with its figure."""
    records = settings.pick(10_000_000, 1_000_000, 20_000)
    with scratch_folder() as folder, ExitStack() as stack:
        port = free_port()
        rotation = ("--rotate-lines", str(LINES_A_FILE), "--rotate-count", "50")
        # The page looks for its daemon, and for indexes, where that keeps its state.
        options = ("--file", f"{folder}/out_%d.log", "--state-dir", f"{folder}/state", *rotation)
        daemon = stack.enter_context(logd_server(folder, port, *options))
        progress(f"writing {records:,} records")
        for start in range(0, records, CHUNK):
            _send(daemon, port, min(CHUNK, records - start))
        # Some more, so that all files are closed that the records fill.
        _send(daemon, port, 1000)
        _await_indexes(folder, records // LINES_A_FILE)
        site = stack.enter_context(serving(folder / "out_%d.log", "--web-scan-s", "2"))
        ask = stack.enter_context(_browser(site))
        with createClientLog("127.0.0.1", port) as log:
            for number in range(500):
                log(f"order {number} accepted", "E" if number % 50 == 0 else "I")
        yield from _opening(ask, settings)
        yield from _pictures(ask, site, records, settings)
        yield from _without_indexes(folder, settings)
        yield from _searches(site, folder, settings)
        yield from _seen(ask, port, settings)
        yield from _flooded(ask, port, settings)
        yield from _memory(ask, site)
        ask("close")
        yield from _rate(ask, daemon, port, settings)


def _opening(ask: Ask, settings: Settings) -> Iterator[Row]:
    task = "page, opened cold"
    opened = []
    for _ in range(max(3, settings.rounds)):
        opened.append(ask("open", path="/?from=-1h"))
        ask("close")
    for name, goal in (("paint_ms", 150), ("usable_ms", 400)):
        yield Row(task, name, [one[name] for one in opened], "ms", "", at_most(goal, "ms"))
    yield Row(task, "HTML, JS and CSS", [opened[0]["bytes"] / 1000], "kB", "", at_most(40, "kB"))
    yield Row(task, "requests for them", [opened[0]["requests"]], "", "", at_most(3))


def _pictures(ask: Ask, site: Page, records: int, settings: Settings) -> Iterator[Row]:
    task = f"page, {records / 1e6:g} million records"
    goal = at_most(1000 if records > CHUNK else 200, "ms")
    rounds = range(max(3, settings.rounds))
    whole = [sum(_parts(site, "from=0&buckets=140")) for _ in rounds]
    yield Row(task, "histogram and facets", whole, "ms", "from the API", goal)
    ask("open", path=ALL_OF_IT)
    clicks = [ask("click", path=ALL_OF_IT, selector=".facet .pick") for _ in rounds]
    yield Row(task, "click on a facet", clicks, "ms", "until it is drawn", goal)


def _without_indexes(folder: Path, settings: Settings) -> Iterator[Row]:
    """The same where there are no indexes by now: a part of the picture is there at once."""
    firsts = []
    for number in range(max(3, settings.rounds)):
        # Indexes lie beside the files.
        bare = folder / f"bare{number}"
        bare.mkdir()
        for file in folder.glob("out_*.log"):
            (bare / file.name).hardlink_to(file)
        with serving(bare / "out_%d.log", "--web-scan-s", "2", "--web-workers", "1") as site:
            site.get("/api/1/view?from=-1s")  # the worker has to be there
            firsts.append(_timed(site, "/api/1/view?from=0&buckets=140")[0])
        shutil.rmtree(bare)
    task = "page, no indexes"
    yield Row(task, "first part of the picture", firsts, "ms", "", at_most(300, "ms"))


def _searches(site: Page, folder: Path, settings: Settings) -> Iterator[Row]:
    task = "page, text search"
    rounds = range(max(3, settings.rounds))
    first = [_timed(site, f"/api/1/entries?q={quote('in warehouse')}&limit=100")[0] for _ in rounds]
    yield Row(task, "first hits", first, "ms", "the newest", at_most(300, "ms"))
    size = sum(file.stat().st_size for file in folder.glob("out_*.log"))
    rates = []
    for number in rounds:
        # Digits are in no index: every block is looked at, until all of them were.
        text = quote(f"article 77{number}77{number}77")
        rates.append(size / 1e3 / sum(_parts(site, f"q={text}&from=0&facets=cat")))
    yield Row(task, "scan for a rare text", rates, "MB/s", "", at_least(150, "MB/s"))


def _seen(ask: Ask, port: int, settings: Settings) -> Iterator[Row]:
    task = "page, logged until seen"
    ask("close")
    ask("open", path="/")
    ask("observe")
    number = 1000 * LIVE_S if settings.size != "smoke" else 500
    with createClientLog("127.0.0.1", port) as log:
        begin = time.time()
        for n in range(number):
            time.sleep(max(0.0, begin + n / 1000 - time.time()))
            log(f"sent {time.time():.6f}", "I")
    seen = sorted(ask("seen", count=number))
    yield Row(task, "1,000/s, median", [statistics.median(seen)], "ms", "", at_most(250, "ms"))
    yield Row(task, "1,000/s, p99", [seen[int(len(seen) * 0.99)]], "ms", "", at_most(1000, "ms"))


def _flooded(ask: Ask, port: int, settings: Settings) -> Iterator[Row]:
    """What one sees of 50,000 records a second: some of them, soon, and that it is not all."""
    task = "page, logged until seen"
    bursts = int((LIVE_S if settings.size != "smoke" else 0.5) / BURST_S)
    ask("close")
    ask("open", path="/")
    ask("observe")
    with createClientLog("127.0.0.1", port) as log:
        begin = time.time()
        for burst in range(bursts):
            time.sleep(max(0.0, begin + burst * BURST_S - time.time()))
            for _ in range(int(FLOOD * BURST_S)):
                log(f"sent {time.time():.6f}", "I")
        rate = bursts * FLOOD * BURST_S / (time.time() - begin)
        said = ask("behind") if settings.size != "smoke" else ""
    seen = sorted(ask("seen", count=1))
    name = f"{FLOOD:,}/s, sampled"
    notes = f"{rate:,.0f} a second came; it says: {said}"
    yield Row(task, name, [seen[int(len(seen) * 0.99)]], "ms", notes, at_most(1000, "ms"))


def _memory(ask: Ask, site: Page) -> Iterator[Row]:
    task = "page, memory"
    own, *others = _family(site.process.pid)
    yield Row(task, "server", [_rss(own) / MIB], "MiB", "", at_most(120, "MiB"))
    worker = max((_rss(pid) for pid in others), default=0)
    yield Row(task, "largest worker", [worker / MIB], "MiB", "", at_most(200, "MiB"))
    yield Row(task, "heap of the tab", [ask("heap") / MIB], "MiB", "", at_most(150, "MiB"))


def _rate(ask: Ask, daemon: Server, port: int, settings: Settings) -> Iterator[Row]:
    """What is left of the daemon's rate while three browsers look and one of them scans."""
    task = "page, the daemon's rate"
    records = settings.pick(1_000_000, 300_000, 10_000)
    alone, watched = [], []
    for turn in range(settings.rounds):
        progress(f"round {turn + 1} of {settings.rounds}: rate")
        alone.append(records / _send(daemon, port, records))
        for _ in range(3):
            ask("open", path="/")
        ask("scan")
        watched.append(records / _send(daemon, port, records))
        ask("rest")
        ask("close")
    yield Row(task, "alone", alone, "records/s")
    yield Row(task, "three look, one scans", watched, "records/s")
    ratios = [some / other for some, other in zip(watched, alone, strict=True)]
    yield Row(task, "looked at / alone", ratios, "x", "", at_least(0.97))


def _send(daemon: Server, port: int, records: int) -> float:
    """Send records and wait until they are stored; how long that took, in seconds."""
    senders = Senders(daemon, port, encoders.session(records, 1))
    began = time.perf_counter()
    senders.go()
    senders.join()
    return time.perf_counter() - began


def _await_indexes(folder: Path, files: int) -> None:
    """Wait until the daemon has made the indexes of its closed files."""
    deadline = time.monotonic() + INDEX_S
    while len(list(folder.rglob("*.idx"))) < files:
        if time.monotonic() > deadline:
            raise ContenderFailed("the indexes of closed files were not made in time")
        time.sleep(0.2)


@contextmanager
def _browser(site: Page) -> Iterator[Ask]:
    driver = subprocess.Popen(
        ["node", str(HERE / "measure.mjs")],
        env=environment(site),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stdin, stdout = driver.stdin, driver.stdout
    assert stdin is not None
    assert stdout is not None
    if stdout.readline().strip() != "ready":
        raise ContenderFailed("the browser did not start")

    def ask(command: str, **more: object) -> Any:
        stdin.write(json.dumps({"command": command, **more}) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise ContenderFailed(f"the browser ended at {command}")
        return json.loads(answer)

    try:
        yield ask
    finally:
        driver.communicate("{}\n", timeout=60)


def _parts(site: Page, query: str) -> list[float]:
    """Milliseconds of each part of a picture, until all of it is there, as the page asks for it."""
    took, before = [], ""
    while True:
        ms, answer = _timed(site, f"/api/1/view?{query}{before}")
        took.append(ms)
        if not (answer["partial"] and answer["next"]):
            return took
        span = "".join(f"&{name}={answer[name]}" for name in ("from", "to", "step"))
        before = f"&before={quote(str(answer['next']))}{span}"


def _timed(site: Page, path: str) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = site.get(path).json
    return (time.perf_counter() - began) * 1000, answer


def _family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096

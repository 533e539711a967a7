"""Runs the recipes of the client's README with the real servers: `make test-servers`.

Each trial starts a daemon and the server, does to it what the row says, and counts the records of
the application in the log: once with LogdHandler, once with SocketHandler in the same place. The
status is 1 if LogdHandler lost or repeated one, or a stop took longer than ten seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from tests.daemon_process import running
from tests.ports import reserved_port
from tests.servers.cases import CASES, REDIS, Case
from tests.servers.recipes import recipes
from tests.servers.trial import Trial

CLIENT = Path(__file__).parents[2] / "client"
MAX_STOP_S = 10.0

_TRACED = """
import logging
from logd_client import LogdHandler
from opentelemetry.sdk.trace import TracerProvider
logging.basicConfig(level=logging.INFO, handlers=[LogdHandler()])
with TracerProvider().get_tracer("shop").start_as_current_span("buy") as span:
    logging.info("traced")
context = span.get_span_context()
print(f"trace_id={context.trace_id:032x} span_id={context.span_id:016x}")
"""

_TYPED = """
from logd_client import LogdHandler, createClientLog
LogdHandler("h", 9801, spool="x", when_full="drop")
createClientLog("logd://h", static={"service": "shop"})
LogdHandler("h", spol="x")  # wrong
LogdHandler("h", spool=5)  # wrong
createClientLog("h", when_full="wait")  # wrong
"""


def _is_missing(case: Case) -> bool:
    if case.needs != "redis":
        return False
    place = urlsplit(REDIS)
    try:
        socket.create_connection((place.hostname or "", place.port or 6379), 2).close()
    except OSError:
        return True
    return False


def _prepare(case: Case, folder: Path) -> dict[str, str]:
    """What a case needs besides its recipe; returns texts to replace in that."""
    if case.recipe == "pytest":
        tests = [
            f"def test_{n}():\n    logging.getLogger('shop').warning('bought %d', {n})\n"
            for n in range(50)
        ]
        (folder / "test_shop.py").write_text("import logging\n" + "".join(tests))
    if case.recipe == "Celery":
        # A queue of its own, on this machine's Redis.
        broker = f'broker="{REDIS}", task_default_queue="logd-{uuid.uuid4().hex[:8]}"'
        return {'broker="redis://localhost"': broker}
    if case.recipe == "RQ":
        queue = f"logd-{uuid.uuid4().hex[:8]}"
        code = (
            f"import redis, rq\nqueue = rq.Queue('{queue}', connection=redis.from_url('{REDIS}'))\n"
            "for n in range(60): queue.enqueue('jobs.buy', n)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        return {"redis://localhost": f"{REDIS} {queue}"}
    return {}


def _try(case: Case, *, is_ours: bool) -> tuple[int, int, int, float]:
    """Sent, found, twice; seconds of the stop."""
    with (
        tempfile.TemporaryDirectory(prefix="logd-servers-") as name,
        reserved_port() as daemon_port,
        reserved_port() as server_port,
    ):
        folder = Path(name)
        changes = {**case.changes, **_prepare(case, folder)}
        environment = {key: v.format(folder=folder) for key, v in case.environment.items()}
        trial = Trial(
            folder,
            recipes()[case.recipe],
            (daemon_port, server_port),
            is_ours=is_ours,
            changes=changes,
            arguments=case.arguments,
            environment=environment,
            further=case.further,
        )
        try:
            case.run(trial)
            return (*trial.result(), trial.stop_s)
        finally:
            trial.end()


def _rows(wanted: str) -> Iterator[tuple[str, bool]]:
    """Lines of the table, and whether each is as it should be."""
    for case in CASES:
        if wanted not in f"{case.name} {case.done}":
            continue
        shown = version(case.package) if case.package else sys.version.split()[0]
        begin = f"| {case.name} | {shown} | {case.done} |"
        if _is_missing(case):
            yield f"{begin} no {case.needs} here | |", False
            continue
        sent, found, twice, stop_s = _try(case, is_ours=True)
        other_sent, other_found, other_twice, _ = _try(case, is_ours=False)
        is_good = sent == found and not twice and stop_s < MAX_STOP_S and sent > 0
        ours = f"{sent} / {found}" + (f", {twice} twice" if twice else "") + f", {stop_s:.1f} s"
        other = f"{other_sent} / {other_found}" + (f", {other_twice} twice" if other_twice else "")
        yield f"{begin} {ours} | {other} |", is_good


def _is_typed() -> bool:
    """Whether pyright finds the wrong settings, and no other."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "typed.py").write_text(_TYPED)
        # An editable installation may be one that only imports can follow.
        settings = {"extraPaths": [str(CLIENT)], "typeCheckingMode": "basic"}
        (Path(name) / "pyrightconfig.json").write_text(json.dumps(settings))
        checker = Path(sys.executable).with_name("basedpyright")
        command = [checker, "--level", "error", "--pythonpath", sys.executable]
        done = subprocess.run(command, capture_output=True, text=True, cwd=name, check=False)
    lines = {int(line.split(":")[1]) for line in done.stdout.splitlines() if " - error: " in line}
    wrong = {n for n, line in enumerate(_TYPED.splitlines(), 1) if line.endswith("# wrong")}
    return lines == wrong


def _is_traced() -> bool:
    """Whether a record within a span of OpenTelemetry has its ids."""
    with (
        tempfile.TemporaryDirectory() as name,
        running("--file", "logs/logd_%d.log", folder=Path(name)) as daemon,
    ):
        environment = {**os.environ, "LOGD_HOST": "127.0.0.1", "LOGD_PORT": str(daemon.port)}
        done = subprocess.run(
            [sys.executable, "-c", _TRACED],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        daemon.stop()
        return done.stdout.strip() in daemon.log_text().replace('"', "")


def main() -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", default="", help="part of the rows' first columns")
    only = parser.parse_args().only
    is_good = True
    print("| server | version | what was done | LogdHandler: sent / found, stop | SocketHandler |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for row, is_row_good in _rows(only):
        is_good = is_good and is_row_good
        print(row if is_row_good else f"{row} <-- WRONG", flush=True)
    if not only:
        is_typed, is_traced = _is_typed(), _is_traced()
        is_good = is_good and is_typed and is_traced
        print(f"pyright finds wrong settings: {'yes' if is_typed else 'NO'}")
        print(f"spans of OpenTelemetry are in records: {'yes' if is_traced else 'NO'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

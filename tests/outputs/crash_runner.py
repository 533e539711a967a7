"""Runs jobs that may die, each in a child of this process: reads one a line, answers its status.

A job is a JSON object: folder, failpoints (as in LOGD_FAILPOINTS), torn (the block that is to be
written half before the process dies, 0 for none), total (records of each client), and the
settings pattern, lines, count, compress, durable. The child goes on from the marks, writes until
both clients have all their records, syncs now and then, and notes what may be acknowledged.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import logd.outputs.failpoints
from logd.outputs.files.logfile import LogFile
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.output_making import make_settings, numbered

CLIENTS = (b"aaaaaaaaaaaaaaaa", b"bbbbbbbbbbbbbbbb")
MARKS_TOO_LOW = 3


def set_failpoints(text: str) -> None:
    """Let the modules that were imported before see these fail-points."""
    hit, before = logd.outputs.failpoints.Failpoints(text).hit, logd.outputs.failpoints.failpoint
    for module in list(sys.modules.values()):
        if getattr(module, "failpoint", None) is before:
            module.failpoint = hit  # type: ignore[attr-defined]


def tear_block(number: int) -> None:
    """Die in the middle of the `number`-th write to a log file."""
    left = [number]

    def append(self: LogFile, data: bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.write(self.descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        whole(self, data)

    whole = LogFile.append
    LogFile.append = append  # type: ignore[method-assign]


def run(job: dict[str, Any]) -> int:
    """Do one job; returns its exit status."""
    folder = Path(job["folder"])
    set_failpoints(job["failpoints"])
    if job["torn"]:
        tear_block(job["torn"])
    settings = make_settings(
        folder,
        rotation=RotationPolicy(lines=job["lines"]),
        retention=Retention(count=job["count"]),
        compress=job["compress"],
        durable=job["durable"],
    )
    output = FileOutput(str(folder / job["pattern"]), settings)
    marks = output.open()
    acks = folder / "acks"
    for line in acks.read_text().splitlines() if acks.exists() else ():
        client, last = line.split()
        if marks.get(client.encode(), 0) < int(last):
            return MARKS_TOO_LOW
    write_all(output, {client: marks.get(client, 0) for client in CLIENTS}, job["total"], acks)
    output.wait_idle()
    output.close()
    return 0


def write_all(output: FileOutput, lasts: dict[bytes, int], total: int, acks: Path) -> None:
    """Write what is missing of each client, in batches of different sizes."""
    dice = random.Random(sum(lasts.values()))
    noted = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    while min(lasts.values()) < total:
        batches = []
        for client, last in lasts.items():
            if last < total:
                count = min(dice.randint(1, 9), total - last)
                batches.append(numbered(last + 1, count, client))
                lasts[client] = last + count
        output.write(batches)
        output.sync()
        for client, last in lasts.items():
            os.write(noted, b"%s %d\n" % (client, last))
    os.close(noted)


def main() -> None:
    """Answer jobs until the input ends."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = run(json.loads(line))
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()

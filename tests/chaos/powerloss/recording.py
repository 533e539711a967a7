"""The process under the recorder: runs workloads and checks, each in a child of its own.

The controller writes a job a line, a JSON object, and gets a line when it is done. A job has
`do` ("run" or "check"), `workload` (a name and its settings, see `workloads.py`), `folder`,
`result` (a file for a JSON list of what went wrong), `environment` (the recorder's variables)
and, for a check, `marks`.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("recorder.c")


def compiler() -> str | None:
    """The C compiler of this machine, if it has one that makes what can be preloaded."""
    return shutil.which("cc") if sys.platform == "linux" else None


def compile_recorder(folder: Path) -> Path:
    """Make the library."""
    library = folder / "recorder.so"
    options = ["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler() or "cc", *options, "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Runner:
    """The process; close it, or use it in a `with` block.

    Args:
        library: from `compile_recorder`.
    """

    def __init__(self, library: Path) -> None:
        self.library = library
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.powerloss.recording", str(library)],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "LD_PRELOAD": str(library), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, job: dict[str, Any]) -> list[str]:
        """Run a job; returns what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(job), file=self._process.stdin, flush=True)
        status = self._process.stdout.readline().strip()
        result = Path(job["result"])
        if status != "0":
            return [f"the job ended with status {status or 'none'}"]
        faults: list[str] = json.loads(result.read_text())
        result.unlink()
        return faults

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _do(job: dict[str, Any], library: str) -> None:
    from tests.chaos.powerloss.trace import Marker
    from tests.chaos.powerloss.workloads import make_workload

    workload = make_workload(job["workload"])
    os.environ.update(job["environment"])
    # `os.environ` changes the C library's variables, too.
    ctypes.CDLL(library).powerloss_start()
    folder = Path(job["folder"])
    faults: list[str] = []
    try:
        if job["do"] == "run":
            with Path(job["environment"]["POWERLOSS_TRACE"]).open("ab", buffering=0) as trace:
                workload.run(folder, job["marks"], Marker(trace))
        else:
            faults = workload.check(folder, job["marks"])
    except Exception:  # whatever it is, the start after a power loss must not end like this
        faults.append(traceback.format_exc())
    Path(job["result"]).write_text(json.dumps(faults))


def main() -> None:
    """Answer jobs until the input ends."""
    import tests.chaos.powerloss.workloads  # noqa: F401  # once, not in each child

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _do(json.loads(line), sys.argv[1])
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()

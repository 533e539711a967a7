"""Builds both projects in fresh folders, and runs what was built."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300
# Variables of the caller would change what the fresh environments use.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("LOGD_", "VIRTUAL_ENV", "PYTHON", "MAKE", "MFLAGS"))
    and name not in ("ARGS", "WORKERS", "PORT", "LOGS")  # `make test ARGS=...` hands them on
}
UNWANTED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")  # of a clone
# Compiling all that is installed takes longer than installing it, and the tests use little of it.
ENVIRONMENT["PIP_NO_COMPILE"] = "1"
ENVIRONMENT["SOURCE_DATE_EPOCH"] = "1700000000"  # what is built is as old as that


def run(*command: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; shows its output where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def build(kind: str, source: Path, folder: Path, index: Path) -> None:
    """Build one distribution with the builder that was fetched once, not once for each build."""
    command = (sys.executable, "-m", "build", "-q", "--no-isolation", "--skip-dependency-check")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "PYTHONPATH", str(index))
        run(*command, f"--{kind}", "--outdir", folder, source, cwd=folder.parent)


@contextmanager
def daemon(*command: str | Path, cwd: Path) -> Iterator[str]:
    """A running daemon; gives the first address it is ready on. Stops it well at the end."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            match = re.search(r"ready on ([^ ,]+:\d+)", line)
            if match:
                break
        else:
            raise AssertionError("never ready: " + "".join(said))
        yield match[1]
    finally:
        # The whole group: make and the daemon it started, as Ctrl-C in a terminal does.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)


def send_and_find(logd_command: Path, address: str, log: Path) -> None:
    """Send a record with `logd send` and find it in the log."""
    port = address.rpartition(":")[2]
    run(logd_command, "send", "from afar", "--port", port, cwd=log.parent)
    assert "from afar" in log.read_text(encoding="utf-8")

"""Commands as a user runs them: real processes, real daemons."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

PATIENCE_S = 60

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("LOGD_", "_LOGD"))
}

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def logd(tmp_path: Path) -> Command:
    """Runs `logd ARGUMENTS` in an empty folder, to its end."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "logd", *arguments],
            cwd=tmp_path,
            env={**ENVIRONMENT, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE_S,
            check=False,
        )

    return run


class Daemon(NamedTuple):
    """A daemon that is ready.

    Attributes:
        process: to send signals to.
        port: where it listens; 0 where only on a Unix socket.
        folder: it runs there; records are in `log`.
        ready: its line that said so.
        before: what it said before that.
    """

    process: subprocess.Popen[str]
    port: int
    folder: Path
    ready: str
    before: str

    @property
    def log(self) -> str:
        """All that is in the log by now."""
        return (self.folder / "logs/logd_0.log").read_text(encoding="utf-8")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts `logd serve ARGUMENTS`; stopped and waited for at the end of the test."""
    with ExitStack() as running:

        def start(*arguments: str, **variables: str) -> Daemon:
            port = [] if "--port" in arguments else ["--port", "0"]
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "logd", "serve", *port, *arguments],
                    cwd=tmp_path,
                    env={**ENVIRONMENT, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            running.callback(process.send_signal, signal.SIGTERM)
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if "ready on " in line:
                    found = re.search(r"ready on [^ ,]*:(\d+)", line)
                    return Daemon(
                        process, int(found[1]) if found else 0, tmp_path, line, "".join(said)
                    )
            raise AssertionError("never ready: " + "".join(said))

        yield start

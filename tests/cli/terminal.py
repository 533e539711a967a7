"""A command on a terminal: what it shows there."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.cli.conftest import ENVIRONMENT, PATIENCE_S

COLUMNS = 72


def on_terminal(folder: Path, *arguments: str, **variables: str) -> str:
    """Run `logd ARGUMENTS` on a terminal of `COLUMNS` columns; all that it showed."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {**ENVIRONMENT, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    environment |= {"LOGD_PAGER": "", **variables}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        if name not in variables:
            environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "logd", *arguments],
        cwd=folder,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 65536):
                shown += data
        except OSError:  # EIO: the command has ended
            pass
        process.wait(PATIENCE_S)
    os.close(master)
    return shown.decode().replace("\r\n", "\n")

"""Programs that log, run to their end in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = str(Path(__file__).parent.parent)

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's descriptors and libc")

PRELUDE = """
import logging, logging.config, os, signal, sys, threading, time
from logd_client import LogdHandler, createClientLog
port = int(sys.argv[1])
handler = LogdHandler("127.0.0.1", port, exit_timeout_s=60.0)
logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(message)s")
log = logging.info
"""


def run(
    code: str, port: int, *, prelude: str = PRELUDE, timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", prelude + code, str(port)],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def check(done: subprocess.CompletedProcess[str], status: int = 0) -> None:
    """The program ended as expected and said nothing."""
    assert (done.returncode, done.stderr, done.stdout) == (status, "", "")

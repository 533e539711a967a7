"""A pager for long answers on a terminal, as journalctl and git have it."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress

# Quit if all fits, keep colours, cut long lines (the arrow keys show the rest), leave the screen
# as it is, follow the end with F.
_LESS = "FRSXMK"


def pager_command(environ: Mapping[str, str]) -> list[str] | None:
    """The pager that the user wants; None if there is none, or the user wants none."""
    if environ.get("TERM") in (None, "", "dumb"):
        return None
    chosen = next((environ[name] for name in ("LOGD_PAGER", "PAGER") if name in environ), "less")
    try:
        command = shlex.split(chosen)
    except ValueError:
        return None
    if not command or command == ["cat"] or shutil.which(command[0]) is None:
        return None
    return command


@contextmanager
def paged(*, is_wanted: bool) -> Iterator[bool]:
    """Within the block standard output goes to a pager, if it is a terminal and one is there.

    Yields whether that is so. At the end the pager is waited for; what was written to standard
    error comes after it, not across its screen.
    """
    command = pager_command(os.environ) if is_wanted and sys.stdout.isatty() else None
    if command is None:
        yield False
        return
    environment = {"LESS": _LESS, "LESSCHARSET": "utf-8", **os.environ}
    terminal, said = os.dup(sys.stdout.fileno()), io.StringIO()
    pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # noqa: S603
    assert pager.stdin is not None  # noqa: S101 - a pipe was asked for
    try:
        os.dup2(pager.stdin.fileno(), sys.stdout.fileno())
        pager.stdin.close()
        with redirect_stderr(said):
            yield True
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        # The pager sees the end once nobody holds its input.
        os.dup2(terminal, sys.stdout.fileno())
        os.close(terminal)
        _wait(pager)
        sys.stderr.write(said.getvalue())
        sys.stderr.flush()


def _wait(pager: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            pager.wait()
        except KeyboardInterrupt:  # Ctrl-C is for the pager, which may stay
            continue
        return

"""The commands of logd.

Only this package knows click, and only it configures logging. `commands.py` lists the commands;
each lives in a module of its own that is imported when it is called, so that `logd --help` and
shell completion answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from logd.errors import LogdError

_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)

EXIT_FAILED = 1
"""What was asked for did not work; a line on standard error says why. Wrong options give 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; `arguments` are those of the process if None.

    Returns:
        The exit status, if the command did not end the process itself: click does so after
        usage errors (2) and `--help` (0).
    """
    from logd.cli.commands import logd

    _stand_in_for_closed()
    try:
        logd.main(arguments, prog_name="logd", windows_expand_args=False)
    except LogdError as exc:
        for line in getattr(exc, "problems", (str(exc),)):
            print(f"logd: {line}", file=sys.stderr)
        return getattr(exc, "exit_status", EXIT_FAILED)
    except OSError as exc:
        if exc.errno not in _REFUSED or exc.filename is not None:
            raise
        # What click printed had no room: standard output leads to a full disk, or is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"logd: can't write to standard output: {exc.strerror}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _stand_in_for_closed() -> None:
    """Give standard streams that are closed a descriptor, or a file of the log would get it.

    Output is refused there: it would be lost. What is said on standard error may be.
    """
    for number, stream in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, stream) is None:
            # The lowest number that is free.
            os.open(os.devnull, os.O_WRONLY if stream == "stderr" else os.O_RDONLY)
            mode = "r" if stream == "stdin" else "w"
            setattr(sys, stream, open(number, mode, closefd=False))  # noqa: SIM115 - to the end

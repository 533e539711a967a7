"""The daemon's own log: to standard error, as a person or journald reads it best."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TextIO

from logd.text.escaping import entry_of

# syslog(3)'s priorities, which journald takes from a prefix such as "<3>".
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7


class LineFormatter(logging.Formatter):
    """Entries that stay entries: what a peer or a record is quoted with can't forge another.

    Control characters are escaped; the further lines of a traceback are marked as such.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, or several of which only the first does not begin with a mark."""
        return entry_of(super().format(record))


class JournalFormatter(LineFormatter):
    """Lines with journald's priority prefix, every line of a traceback too; no time, it has one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one or several lines, each with its priority."""
        priority = next(
            (number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY
        )
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


def configure(
    level: str, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ
) -> None:
    """Send the process' log records to `stream`, standard error if None.

    Args:
        level: lowest level of logd's own records; of other packages, warnings and worse are shown.
        stream: where to write.
        environ: tells by JOURNAL_STREAM whether `stream` is journald's.
    """
    stream = stream if stream is not None else sys.stderr
    handler = logging.StreamHandler(stream)
    if _is_journal(stream, environ):
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("logd").setLevel(level.upper())


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the one systemd connected to the journal: device and inode tell."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))

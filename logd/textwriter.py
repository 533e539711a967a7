"""Base of the writers of text lines, and what lays out their lines.

`LineFormat` (the default line) and `Formatter` (the standard library's way) are made in modules
of their own; this is where the documented names are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from logd.errors import LogdError
from logd.records.batch import Batch
from logd.text.formatter import Formatter
from logd.text.lines import CallableFormat, LineFormat, encode_lines

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = [
    "Formatter",
    "LineFormat",
    "TextlineLogWriter",
    "WriterClosed",
    "encode_lines",
    "tm_structconverter",
]


class WriterClosed(LogdError):
    """A record was given to a writer after its `close()`."""


def tm_structconverter(
    secs: float, to_structtime: Callable[[float], time.struct_time] = time.localtime
) -> tuple[time.struct_time, int]:
    """Divide a time into what `time.localtime` makes of it and its milliseconds.

    Args:
        secs: seconds since the epoch, as `time.time()` returns them.
        to_structtime: makes the struct; `time.gmtime` for UTC.

    Returns:
        (struct_time, milliseconds), milliseconds from 0 to 999.
    """
    seconds, milliseconds = divmod(int(secs * 1e6) // 1000, 1000)
    return to_structtime(seconds), milliseconds


class TextlineLogWriter:
    """Base of writers of text lines; a subclass has `writeNow`, `write_batch` and `close`.

    A subclass may also have a `_format_line(job)` of its own, which is then the layout if no
    `format_line` is given.

    Attributes:
        line_format: lays out the lines.

    Args:
        format_line: takes a job, or a job and the count of lines written before, and returns the
            line as str; a `Formatter` or `LineFormat` will do. What it returns is kept one entry:
            further lines are marked as such, control characters are escaped.
    """

    def __init__(self, format_line: Callable[..., Any] | LineFormat | None = None) -> None:
        self._line_count = 0
        own_format = type(self)._format_line is not TextlineLogWriter._format_line
        if isinstance(format_line, LineFormat):
            self.line_format = format_line
        elif format_line is not None:
            self.line_format = CallableFormat(format_line, self.estimateLineCount)
        elif own_format:
            self.line_format = CallableFormat(self._format_line, self.estimateLineCount)
        else:
            self.line_format = LineFormat()

    def cfn_cln(self, job: MsgJob) -> str:
        """Caller's file and line as "*views.py(42)"; empty if these are not known."""
        name = job.cfn()
        return f"*{name}({job.cln()})" if name else ""

    def estimateLineCount(self) -> int:
        """How many entries this writer has written; exact here."""
        return self._line_count

    def _format_line(self, job: MsgJob) -> str:
        """The default layout of one record."""
        return LineFormat().format_batch(Batch.from_jobs([job]))[0]

"""A bar on standard error for work that takes long, if that is a terminal."""

from __future__ import annotations

import shutil
import sys
import time

_AFTER_S = 1.0
_EVERY_S = 0.1


class Progress:
    """Shows how much of the work is done, from its second second on.

    Args:
        is_wanted: False if something else has the terminal, such as a pager.
    """

    def __init__(self, *, is_wanted: bool = True) -> None:
        self._is_terminal = is_wanted and sys.stderr.isatty()
        self._started = self._shown = time.monotonic()
        self._is_visible = False

    def __call__(self, done: float) -> None:
        """`done` of the work is done, 0 to 1."""
        now = time.monotonic()
        if self._is_terminal and now - self._started >= _AFTER_S and now - self._shown >= _EVERY_S:
            self._shown = now
            left_s = (now - self._started) * (1 - done) / done if done > 0 else 0.0
            width = max(10, shutil.get_terminal_size().columns - 30)
            filled = int(width * done)
            bar = "#" * filled + "." * (width - filled)
            sys.stderr.write(f"\r\x1b[K{done:4.0%} {bar} {left_s:.0f} s left")
            sys.stderr.flush()
            self._is_visible = True

    def clear(self) -> None:
        """Take the bar away, before something else is shown."""
        if self._is_visible:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._is_visible = False

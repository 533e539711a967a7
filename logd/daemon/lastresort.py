"""Ends the process if an orderly end fails. Without memory anything may fail, also the end.

The thread for it is started with the daemon: later there may be no memory for a thread.
"""

from __future__ import annotations

import os
import threading

EXIT_STATUS = 70


class LastResort:
    """Waits for a failure, then for the end, and makes one if it does not come."""

    def __init__(self, within_s: float) -> None:
        """`within_s`: how long the end may take after a failure."""
        self._within_s = within_s
        self._text = b"logd: failed, and could not stop in time; records on disk are whole\n"
        self._has_failed = threading.Event()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="logd-last-resort", daemon=True)

    def start(self) -> None:
        """Be ready."""
        self._thread.start()

    def failed(self) -> None:
        """The daemon can't go on: from now on its time to end runs."""
        self._has_failed.set()

    def ended(self) -> None:
        """It has ended by itself; the thread ends, too."""
        self._has_ended.set()
        self._has_failed.set()

    def _wait(self) -> None:
        self._has_failed.wait()
        if not self._has_ended.wait(self._within_s):
            os.write(2, self._text)
            os._exit(EXIT_STATUS)

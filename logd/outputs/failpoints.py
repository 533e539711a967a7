"""Named points in the durable path at which tests make the daemon die or the disk fail.

`failpoint("files.before_write")` does nothing, at the price of one call, unless the environment
variable LOGD_FAILPOINTS was set when the process started. It holds actions separated by commas:

    files.before_write=kill@3       SIGKILL to this process at the third time
    journal.before_write=enospc@2-5 OSError "no space left" at the second to the fifth time
    files.before_sync=eio           OSError "input/output error" every time
    files.before_write=memory       MemoryError every time
    files.after_sync=sleep:0.1      a pause of 0.1 s every time
"""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["VARIABLE", "Failpoints", "failpoint"]

VARIABLE = "LOGD_FAILPOINTS"

_FORM = re.compile(
    r"(?P<name>[\w.]+)=(?P<action>kill|enospc|eio|memory|sleep:(?P<pause>[\d.]+))"
    r"(?:@(?P<first>\d+)(?:-(?P<last>\d+))?)?"
)


class _Action(NamedTuple):
    """What happens at one point, from the `first` to the `last` time it is reached."""

    kind: str
    pause_s: float
    first: int
    last: float


class Failpoints:
    """The actions of one process and how often each point was reached.

    Args:
        text: actions as in the module's text.

    Raises:
        ValueError: the text has another form.
    """

    def __init__(self, text: str) -> None:
        self._actions = _parse(text)
        self._hits: Counter[str] = Counter()
        self._lock = threading.Lock()

    def hit(self, name: str) -> None:
        """Do what is wanted at point `name`, if anything is."""
        action = self._actions.get(name)
        if action is None:
            return
        with self._lock:
            self._hits[name] += 1
            is_due = action.first <= self._hits[name] <= action.last
        if is_due:
            _act(action, name)


def _parse(text: str) -> Mapping[str, _Action]:
    actions = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        match = _FORM.fullmatch(part)
        if match is None:
            raise ValueError(f"{VARIABLE}: expected name=action or name=action@N, got {part!r}")
        first = match["first"]
        actions[match["name"]] = _Action(
            match["action"].partition(":")[0],
            float(match["pause"] or 0),
            int(first or 1),
            int(match["last"] or first) if first else float("inf"),
        )
    return actions


def _act(action: _Action, name: str) -> None:
    match action.kind:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            raise MemoryError(f"(fail-point {name})")
        case "sleep":
            time.sleep(action.pause_s)
        case kind:
            number = errno.ENOSPC if kind == "enospc" else errno.EIO
            raise OSError(number, os.strerror(number), f"(fail-point {name})")


def _nothing(_name: str) -> None:
    """Stand in for `Failpoints.hit` if no actions are wanted."""


failpoint: Callable[[str], None] = (
    Failpoints(os.environ[VARIABLE]).hit if os.environ.get(VARIABLE) else _nothing
)

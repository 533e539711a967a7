"""The bars of a histogram over time: how wide they are, where each begins, what it is called."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Literal

Unit = Literal["minute", "hour", "day"]
Step = Unit | Literal["auto"] | int
"""The width of a bar: a unit of local time, a number of seconds, or what fits."""

UNITS: tuple[Unit, ...] = ("minute", "hour", "day")

MINUTE_S = 60


def bar_start(moment: float, step: Unit | int) -> int:
    """The second since the epoch at which the bar of a moment begins; hours and days are local."""
    second = int(moment // 1)
    if isinstance(step, int):
        return second - second % step
    if step == "minute":
        return second - second % MINUTE_S
    local = time.localtime(second)
    if step == "hour":
        return second - local.tm_min * 60 - local.tm_sec
    return int(time.mktime((local.tm_year, local.tm_mon, local.tm_mday, 0, 0, 0, 0, 0, -1)))


def bar_starts(seconds: Sequence[int], step: Unit | int) -> Sequence[int]:
    """The same of many moments."""
    if step in ("hour", "day"):
        return [bar_start(second, step) for second in seconds]
    width = width_s(step)
    return [second - second % width for second in seconds]


def width_s(step: Unit | int) -> int:
    """The seconds of most bars."""
    if isinstance(step, int):
        return step
    return {"minute": MINUTE_S, "hour": 3600, "day": 24 * 3600}[step]


def following(start: int, step: Unit | int) -> int:
    """The beginning of the bar after one."""
    if step == "day":
        # A day may have 23 or 25 hours.
        return bar_start(start + 36 * 3600, "day")
    return start + width_s(step)


def bar_labels(starts: Iterable[int], step: Unit | int) -> list[str]:
    """Local times for people, each of them once: an hour comes twice if clocks are set back."""
    starts = list(starts)
    layout = {"minute": "%Y-%m-%d %H:%M", "hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d"}
    text = "%Y-%m-%d %H:%M:%S" if isinstance(step, int) else layout[step]
    if isinstance(step, int) and step % MINUTE_S == 0:
        text = layout["minute"]
    labels = [time.strftime(text, time.localtime(start)) for start in starts]
    if len(set(labels)) < len(labels):
        labels = [time.strftime(f"{text} %z", time.localtime(start)) for start in starts]
    return labels

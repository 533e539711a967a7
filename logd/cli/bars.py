"""Counts as a table for people, with bars on a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from logd.cli.cutting import clipped, columns, padded
from logd.query.summaries import Count
from logd.text.escaping import escape

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
_SHORTEST_BAR = 10
_SPARKS = " ▁▂▃▄▅▆▇█"
_ASCII_SPARKS = " .:-=+*%#"


def sparkline(numbers: Sequence[int], *, is_unicode: bool = True) -> str:
    """Numbers as a line of small bars, one character each; what is not 0 can be seen."""
    sparks = _SPARKS if is_unicode else _ASCII_SPARKS
    most = max(numbers, default=0) or 1
    return "".join(sparks[-(-number * (len(sparks) - 1) // most)] for number in numbers)


def table(counts: Sequence[Count], width: int | None, *, is_unicode: bool = True) -> list[str]:
    """Lines with label and number, and a bar if there is room for one.

    Args:
        counts: what is shown, in this order.
        width: of the terminal, in characters; None: no bars.
        is_unicode: whether bars may be drawn with block characters.
    """
    labels = [escape(count.label) for count in counts]
    numbers = [f"{count.entries:,}" for count in counts]
    number_width = max(map(len, numbers), default=0)
    widths = list(map(columns, labels))
    label_width = max(widths, default=0)
    if width is not None:
        label_width = min(label_width, max(_SHORTEST_BAR, width - number_width - 2))
    rest = 0 if width is None else width - label_width - number_width - 4
    most = max((count.entries for count in counts), default=0)
    lines = []
    for label, taken, number, count in zip(labels, widths, numbers, counts, strict=True):
        # Most labels fit: nothing is measured twice of those.
        if taken > label_width:
            shown = padded(clipped(label, label_width), label_width)
        else:
            shown = label + " " * (label_width - taken)
        line = f"{shown}  {number:>{number_width}}"
        if rest >= _SHORTEST_BAR and most:
            line += f"  {_bar(count.entries / most * rest, is_unicode)}"
        lines.append(line.rstrip())
    return lines


def _bar(length: float, is_unicode: bool) -> str:
    if not is_unicode:
        return "#" * round(length)
    eighths = round(length * 8)
    if not eighths and length:
        eighths = 1
    return _FULL * (eighths // 8) + _EIGHTHS[eighths % 8].strip()

"""Counts as tables, bars, sparklines or JSON: what `logd query --by` shows."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import click

from logd.cli.bars import sparkline, table
from logd.cli.cutting import clipped, columns, padded
from logd.cli.printing import put
from logd.cli.progress import Progress
from logd.cli.reading import WhatToRead, note
from logd.cli.rows import Row, RowWriter
from logd.query.advice import advice, unreadable
from logd.query.barsteps import Step
from logd.query.fields import NO_LABEL, has, item_key
from logd.query.groups import MIN_BEFORE_S, Groups, find_mark, group_by, new_since
from logd.query.source import LogSource
from logd.query.summaries import Count, Group, Key, Label, Summary
from logd.query.tracebacks import title
from logd.query.when import parse_when
from logd.text.escaping import escape

_SLOTS = 24
_MAX_LABEL_COLUMNS = 30
_NO_TERMINAL = 100
_WIDE = 60
"""Columns from which on what belongs to a number stands under its text."""

TOP_FOR_PEOPLE = 100
"""More lines than these nobody reads unasked."""

_STEPS: dict[str, Step] = {"auto": "auto", "minute": "minute", "hour": "hour", "day": "day"}


class Counting(NamedTuple):
    """What is counted.

    Attributes:
        by: what by, as written; nothing: the number alone.
        top: at most this many lines of each; None: all.
        new_since: only what is new since this time or mark; None: all.
        is_for_people: whether people read along: then it is `TOP_FOR_PEOPLE` lines, not all.
    """

    by: Sequence[str]
    top: int | None
    new_since: str | None
    is_for_people: bool = False

    @property
    def lines(self) -> int | None:
        """At most this many lines of each; None: all."""
        return TOP_FOR_PEOPLE if self.top is None and self.is_for_people else self.top

    @property
    def hint(self) -> str:
        """How to see what was left out."""
        return "" if self.lines == self.top else "; --top N shows more"


def check_by(by: Sequence[str]) -> None:
    """Refuse what can't be counted by.

    Raises:
        click.UsageError: it can't.
    """
    for text in by:
        if text not in _STEPS:
            _key(text)
    steps = [text for text in by if text in _STEPS]
    if len(steps) > 1:
        raise click.UsageError(f"--by {' --by '.join(steps)} can not be given together")


def show_counts(
    reading: WhatToRead,
    source: LogSource,
    counting: Counting,
    progress: Progress,
    width: int | None,
) -> None:
    """Count and show.

    Args:
        reading: what is counted, and how it is shown.
        source: the log.
        counting: what is counted by.
        progress: told how far it is.
        width: of the terminal that shows it; None: none does.
    """
    if not counting.by:
        total = source.summarise(reading.selection, watch=progress).total
        progress.clear()
        put(f"{total}\n".encode() if width is None else f"{total:,}\n".encode())
        for text in () if total else unreadable(source, reading.selection):
            note(text)
        return
    if counting.new_since is not None or "traceback" in counting.by:
        _show_groups(reading, source, counting, progress, width)
        return
    steps = [text for text in counting.by if text in _STEPS]
    step = _STEPS[steps[0]] if steps else None
    keys = [_key(text) for text in counting.by if text not in _STEPS]
    summary = source.summarise(reading.selection, step=step, keys=keys, watch=progress)
    progress.clear()
    if not summary.total:
        note("no entries")
        for text in advice(source, reading.selection):
            note(text)
    rows = None if reading.output == "text" else RowWriter(reading.output)
    for number, text in enumerate(counting.by):
        if number and rows is None:
            put(b"\n")
        if text in _STEPS:
            _show_histogram(rows, summary, width)
        else:
            _show_facet(rows, summary, _key(text), counting, width)
    if rows is not None:
        rows.close()


def _key(text: str) -> Key:
    fields = tuple(field.strip() for field in text.split(","))
    if not all(fields):
        raise click.BadParameter(f"{text!r} has an empty name in it", param_hint="--by")
    if "auto" in fields:
        raise click.BadParameter("auto can't be combined with other fields", param_hint="--by")
    return fields if len(fields) > 1 else fields[0]


def _show_histogram(rows: RowWriter | None, summary: Summary, width: int | None) -> None:
    counts = summary.histogram()
    if rows is None:
        _put_table(counts, width)
        return
    rows.put(
        {"time": start, "label": count.label, "count": count.entries,
         "cats": dict(summary.bars.get(start, {}))}
        for start, count in zip(summary.times(), counts, strict=True)
    )  # fmt: skip


def _show_facet(
    rows: RowWriter | None, summary: Summary, key: Key, counting: Counting, width: int | None
) -> None:
    found = summary.top(key)
    shown = found[: counting.lines]
    names = key if isinstance(key, tuple) else (key,)
    if rows is not None:
        rows.put({**dict(zip(names, _labels(label), strict=True)), "count": number}
                 for label, number in shown)  # fmt: skip
    else:
        texts = _side_by_side([_labels(label) for label, _ in shown])
        numbers = [number for _, number in shown]
        _put_table(list(map(Count, texts, numbers)), width)
    for place, name in enumerate(names):
        if found and all(_labels(label)[place] == NO_LABEL for label, _ in found):
            _say_absent(name)
    left = [number for _, number in found[len(shown) :]]
    _say_left_out(left, summary.others.get(key, 0), counting.hint)


def _say_left_out(left: Sequence[int], others: int, hint: str) -> None:
    """Say which values are not shown.

    Args:
        left: the numbers of those that are known.
        others: the number of entries of all that could not be told apart.
        hint: how those that are known are shown.
    """
    if left or others:
        values = f"{len(left):,} more" if left else "more values than can be told apart"
        entries = sum(left) + others
        note(f"{values}, with {entries:,} entries, are left out{hint if left else ''}")


def _labels(label: Label) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (label,)


def _side_by_side(labels: Sequence[tuple[str, ...]]) -> list[str]:
    """Labels of several fields each, one below the other."""
    texts = [""] * len(labels)
    for place, column in enumerate(zip(*labels, strict=True)):
        width = min(_MAX_LABEL_COLUMNS, max(map(columns, column)))
        gap = "  " if place else ""
        texts = [
            f"{text}{gap}{padded(value, width)}" for text, value in zip(texts, column, strict=True)
        ]
    return [text.rstrip() for text in texts]


def _say_absent(name: str) -> None:
    """Say of an item that no entry has it: mostly it is a slip."""
    if item_key(name) is not None and name not in _STEPS:
        note(f"none of them has {name}")


def _put_table(counts: Sequence[Count], width: int | None) -> None:
    _put_lines(table(counts, width, is_unicode=_is_unicode()))


def _put_lines(lines: Iterable[str]) -> None:
    put("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))


def _is_unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()


# -- groups ------------------------------------------------------------------------------------


def _show_groups(
    reading: WhatToRead,
    source: LogSource,
    counting: Counting,
    progress: Progress,
    width: int | None,
) -> None:
    rows = None if reading.output == "text" else RowWriter(reading.output)
    for text in counting.by:
        if text in _STEPS or "," in text:
            raise click.UsageError(f"--by {text}: not with --new-since or --by traceback")
    for text in counting.by:
        if counting.new_since is None:
            groups = group_by(source, reading.selection, text, watch=progress)
        else:
            moment = _moment(source, counting.new_since)
            groups, is_certain = new_since(source, reading.selection, text, moment, watch=progress)
            progress.clear()
            if not is_certain:
                begins = "nothing" if groups.begins is None else _when(groups.begins)
                note(
                    f"what is new is not sure: the log begins {begins}, less than "
                    f"{MIN_BEFORE_S / 3600:g} h before {_when(moment)}"
                )
        progress.clear()
        if rows is not None:
            _put_groups(rows, groups, text, counting)
        else:
            _show_some_groups(groups, text, counting, width or _NO_TERMINAL)
    if rows is not None:
        rows.close()


def _moment(source: LogSource, text: str) -> float:
    try:
        return parse_when(text, time.time())
    except ValueError:
        mark = find_mark(source, text)
    if mark is None or mark.time is None:
        raise click.BadParameter(
            f"{text!r} is neither a time nor a deployment that a record marks",
            param_hint="--new-since",
        )
    note(f"since {_when(mark.time)}: {mark.msg.partition(chr(10))[0]}")
    return mark.time


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _ordered(groups: Groups, name: str) -> list[tuple[str, Group]]:
    found = groups.top()
    if name == "traceback":
        # A user who asks for causes wants exceptions first; call sites fill the rest.
        found.sort(key=lambda item: item[1].example is None or not has(item[1].example, name))
    if not found:
        note("no entries")
    if set(groups.groups) == {NO_LABEL}:
        _say_absent(name)
    return found


def _put_groups(rows: RowWriter, groups: Groups, name: str, counting: Counting) -> None:
    found, top = _ordered(groups, name), counting.lines
    rows.put(_as_row(name, value, group) for value, group in found[:top])
    left = [group.entries for _, group in found[len(found[:top]) :]]
    _say_left_out(left, groups.others, counting.hint)


def _show_some_groups(groups: Groups, name: str, counting: Counting, width: int) -> None:
    found, top = _ordered(groups, name), counting.lines
    begin = min((g.first for _, g in found if g.first is not None), default=0.0)
    end = max((g.last for _, g in found if g.last is not None), default=0.0)
    for value, group in found[:top]:
        bars = sparkline(group.timeline(begin, end, _SLOTS), is_unicode=_is_unicode())
        _put_lines(_group_lines(name, value, group, bars, width))
    left = [group.entries for _, group in found[len(found[:top]) :]]
    _say_left_out(left, groups.others, counting.hint)


def _as_row(name: str, value: str, group: Group) -> Row:
    example = group.example
    return {
        name: value,
        "title": "" if example is None else title(example.msg, example.site),
        "count": group.entries,
        "first": group.first,
        "last": group.last,
        "hosts": dict(group.hosts),
        "example": None if example is None else example.as_dict(),
    }


def _group_lines(name: str, value: str, group: Group, bars: str, width: int) -> list[str]:
    """Lines for people: what it is, then when and where it was, on as many as it takes."""
    example = group.example
    text = value
    if name == "traceback" and example is not None:
        text = title(example.msg, example.site)
    number = f"{group.entries:>9,}  "
    hosts = [host for host, _ in group.hosts.most_common(4)]
    places = ", ".join(hosts[:3]) + (f" and {len(group.hosts) - 3} more" if len(hosts) > 3 else "")
    times = ""
    if group.first is not None and group.last is not None:
        chars = len("2026-11-22 03:00:00" if width >= _WIDE else "2026-11-22 03:00")
        first, last = _when(group.first)[:chars], _when(group.last)[:chars]
        times = f"{first} to {last.removeprefix(first[:11])}" if first != last else first
    fingerprint = value if name == "traceback" else ""
    parts = [times, bars.rstrip(), "" if places == "-" else escape(places), fingerprint]
    indent = len(number) if width >= _WIDE else 2
    return [
        clipped(f"{number}{escape(text)}".rstrip(), width),
        *(f"{' ' * indent}{line}" for line in _folded(filter(None, parts), width - indent)),
    ]


def _folded(parts: Iterable[str], width: int) -> Iterator[str]:
    """As many parts on each line as it takes whole."""
    line = ""
    for part in parts:
        if line and columns(line) + 2 + columns(part) > width:
            yield line
            line = ""
        line = clipped(f"{line}  {part}" if line else part, width)
    if line:
        yield line

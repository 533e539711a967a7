"""Counts as tables, bars, sparklines or JSON: what `logd query --by` shows."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import click

from logd.cli.bars import sparkline, table
from logd.cli.printing import put
from logd.cli.progress import Progress
from logd.cli.reading import WhatToRead, note
from logd.query.advice import advice
from logd.query.fields import has
from logd.query.groups import MIN_BEFORE_S, Groups, find_mark, group_by, new_since
from logd.query.source import LogSource
from logd.query.summaries import Count, Group, Key, Step, Summary
from logd.query.tracebacks import title
from logd.query.when import parse_when
from logd.text.escaping import escape

_SLOTS = 24
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
    reading: WhatToRead, source: LogSource, counting: Counting, progress: Progress
) -> None:
    """Count and show."""
    if not counting.by:
        total = source.summarise(reading.selection, watch=progress).total
        progress.clear()
        put(f"{total:,}\n".encode() if sys.stdout.isatty() else f"{total}\n".encode())
        return
    if counting.new_since is not None or "traceback" in counting.by:
        _show_groups(reading, source, counting, progress)
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
    for number, text in enumerate(counting.by):
        if number and reading.output == "text":
            put(b"\n")
        if text in _STEPS:
            _show_histogram(reading, summary)
        else:
            _show_facet(reading, summary, _key(text), counting)


def _key(text: str) -> Key:
    fields = tuple(field.strip() for field in text.split(","))
    if not all(fields):
        raise click.BadParameter(f"{text!r} has an empty name in it", param_hint="--by")
    if "auto" in fields:
        raise click.BadParameter("auto can't be combined with other fields", param_hint="--by")
    return fields if len(fields) > 1 else fields[0]


def _show_histogram(reading: WhatToRead, summary: Summary) -> None:
    counts = summary.histogram()
    if reading.output != "text":
        starts = summary.times()
        _put_json(
            {"time": start, "label": count.label, "count": count.entries,
             "cats": dict(summary.bars.get(start, {}))}
            for start, count in zip(starts, counts, strict=True)
        )  # fmt: skip
        return
    _put_table(counts)


def _show_facet(reading: WhatToRead, summary: Summary, key: Key, counting: Counting) -> None:
    found = summary.top(key)
    shown = found[: counting.lines]
    if reading.output != "text":
        names = key if isinstance(key, tuple) else (key,)
        _put_json(
            {**dict(zip(names, label if isinstance(label, tuple) else (label,), strict=True)),
             "count": number}
            for label, number in shown
        )  # fmt: skip
    else:
        texts = [
            Count("  ".join(label) if isinstance(label, tuple) else label, number)
            for label, number in shown
        ]
        _put_table(texts)
    left = found[len(shown) :]
    others = summary.others.get(key, 0)
    if left or others:
        entries = sum(number for _, number in left) + others
        values = f"{len(left):,} more" if left else "more values than can be told apart"
        note(f"{values}, with {entries:,} entries, are left out{counting.hint if left else ''}")


def _put_table(counts: Sequence[Count]) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    _put_lines(table(counts, width, is_unicode=_is_unicode()))


def _put_lines(lines: Iterable[str]) -> None:
    put("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))


def _put_json(rows: Iterable[dict[str, object]]) -> None:
    _put_lines(json.dumps(row) for row in rows)


def _is_unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()


# -- groups ------------------------------------------------------------------------------------


def _show_groups(
    reading: WhatToRead, source: LogSource, counting: Counting, progress: Progress
) -> None:
    for text in counting.by:
        if text in _STEPS or "," in text:
            raise click.UsageError(f"--by {text}: not with --new-since or --by traceback")
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
        _show_some_groups(reading, groups, text, counting)


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
    note(f"since {_when(mark.time)}: {escape(mark.msg.partition(chr(10))[0])}")
    return mark.time


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _show_some_groups(reading: WhatToRead, groups: Groups, name: str, counting: Counting) -> None:
    found, top = groups.top(), counting.lines
    if name == "traceback":
        # Who asks for causes wants exceptions first; call sites fill up what is left.
        found.sort(key=lambda item: item[1].example is None or not has(item[1].example, name))
    if not found:
        note("no entries")
    if reading.output != "text":
        _put_json(_as_json(name, value, group) for value, group in found[:top])
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
        begin = min((g.first for _, g in found if g.first is not None), default=0.0)
        end = max((g.last for _, g in found if g.last is not None), default=0.0)
        for value, group in found[:top]:
            bars = sparkline(group.timeline(begin, end, _SLOTS), is_unicode=_is_unicode())
            _put_lines(_group_lines(name, value, group, bars, width))
    left = found[len(found[:top]) :]
    if left or groups.others:
        entries = sum(group.entries for _, group in left) + groups.others
        note(f"{len(left):,} more, with {entries:,} entries, are left out{counting.hint}")


def _as_json(name: str, value: str, group: Group) -> dict[str, object]:
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
    parts = [times, bars.rstrip(), "" if places == "-" else places, fingerprint]
    indent = len(number) if width >= _WIDE else 2
    return [
        _cut(f"{number}{escape(text)}", width),
        *(f"{' ' * indent}{line}" for line in _folded(filter(None, parts), width - indent)),
    ]


def _folded(parts: Iterable[str], width: int) -> Iterator[str]:
    """As many parts on each line as it takes whole."""
    line = ""
    for part in parts:
        if line and len(line) + 2 + len(part) > width:
            yield line
            line = ""
        line = _cut(f"{line}  {part}" if line else part, width)
    if line:
        yield line


def _cut(text: str, width: int) -> str:
    text = text.rstrip()
    return text if len(text) <= width else text[: width - 3] + "..."

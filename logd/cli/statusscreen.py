"""The daemon's status as one screen for a person. Pure: a snapshot in, lines out.

The snapshot is that of `logd.daemon.status`, as the control socket sends it.
"""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from logd.text.escaping import escape

Snapshot = Mapping[str, Any]
Paint = Callable[[str, str], str]
"""Text in a style ("bold", "dim", "red", "yellow"), or as it is if there are no colours."""

SPANS = ("1", "10", "60")
_RIGHT = ">"
_LEFT = "<"
_INDENT = "  "
_GAP = re.compile(" {2,}")
_STYLE = re.compile(r"\x1b\[[0-9]*m")
_STYLES = {"bold": "\x1b[1m", "dim": "\x1b[2m", "red": "\x1b[31m", "yellow": "\x1b[33m"}


def plain(text: str, _style: str) -> str:
    """No colours."""
    return text


def colored(text: str, style: str) -> str:
    """Colours of a terminal."""
    return f"{_STYLES[style]}{text}\x1b[0m" if text else text


def screen(status: Snapshot, paint: Paint = plain, rows: int | None = None) -> list[str]:
    """The lines of the screen.

    Args:
        status: the snapshot.
        paint: colours.
        rows: at most this many lines; connections are what is left out. None for all.
    """
    lines = [
        _title(status, paint),
        "",
        *_totals(status, paint),
        "",
        *_outputs(status["outputs"], paint, _standing_by(status)),
        *_partitions(status.get("partitions", ()), paint),
        *_left_behind(status["left_behind"], paint),
    ]
    faults = _faults(status["faults"], paint)
    connections = _connections(status["connections"]["top"], paint)
    if rows is not None:
        left = max(0, rows - len(lines) - len(faults))
        connections = connections[:left] if left >= 3 else []
    return [*lines, *connections, *faults]


def fitted(lines: Sequence[str], columns: int) -> list[str]:
    """Lines for a terminal of this many columns: what is longer goes on in the next, indented.

    Columns of a table come closer together before that; its heading does the same.
    """
    found: list[str] = []
    for line in lines:
        text = _STYLE.sub("", line)
        if len(text) <= columns:
            found.append(line)
            continue
        indent = _INDENT if text.startswith(" ") else ""
        parts = textwrap.wrap(
            _GAP.sub("  ", text.strip()),
            columns,
            initial_indent=indent,
            subsequent_indent=_INDENT * 2,
            break_on_hyphens=False,
        )
        style = _STYLE.match(line)
        found += [f"{style[0]}{part}\x1b[0m" for part in parts] if style else parts
    return found


def _title(status: Snapshot, paint: Paint) -> str:
    name = paint(f"logd {status['version']}", "bold")
    state = "" if status["state"] == "running" else paint(f"  {status['state']}", "yellow")
    return (
        f"{name}  pid {status['pid']}  up {duration(status['uptime_s'])}{state}"
        f"  on {', '.join(map(escape, status['addresses'])) or 'no address'}"
    )


def _totals(status: Snapshot, paint: Paint) -> list[str]:
    connections, queue, lost = status["connections"], status["queue"], status["lost_by_clients"]
    part = queue["bytes"] / queue["limit_bytes"] if queue["limit_bytes"] else 0.0
    records_per_s = [f"{status['records_per_s'][span]:,.0f}/s" for span in SPANS]
    bytes_per_s = [f"{size(status['bytes_per_s'][span])}/s" for span in SPANS]
    lines = _columns(
        [
            [" " * 11, "total", "last second", "10 s", "60 s"],
            ["records", f"{status['records']:,}", *records_per_s],
            ["received", size(status["received_bytes"]), *bytes_per_s],
        ],
        "<>>>>",
    )
    lines[0] = paint(lines[0], "dim")
    queue_text = f"{size(queue['bytes'])} of {size(queue['limit_bytes'])} ({part:.0%})"
    if queue["overflow_bytes"]:
        queue_text += f", {size(queue['overflow_bytes'])} more on disk"
    lost_text = f"{lost['records']:,} records lost by clients"
    if lost["last"] is not None:
        last = lost["last"]
        at = clock(last["time"])
        peer = escape(last["peer"]) or "this machine"
        lost_text += f", last {last['records']:,} by pid {last['pid']} of {peer} at {at}"
    connections_text = (
        f"{connections['open']:,} open ({connections['sessions']:,} with acknowledgements), "
        f"{connections['accepted']:,} since the start, {connections['refused']:,} refused"
    )
    return [
        *lines,
        f"queue        {paint(queue_text, 'yellow') if queue['is_full'] else queue_text}",
        f"connections  {connections_text}",
        f"losses       {paint(lost_text, 'red') if lost['records'] else lost_text}",
        f"reloads      {_reloads(status['reloads'], paint)}",
    ]


def _reloads(reloads: Snapshot, paint: Paint) -> str:
    text = f"{reloads['total']:,}"
    if not reloads["last_succeeded"]:
        text += paint(", the last one failed: the settings before it are in force", "red")
    return text


def _standing_by(status: Snapshot) -> set[str]:
    """The outputs that another daemon has now."""
    return {one["ring"] for one in status.get("partitions", ()) if not one["is_reading"]}


def _outputs(
    outputs: Sequence[Snapshot], paint: Paint, standing_by: Container[str] = ()
) -> list[str]:
    table = [["output", "written", "current", "lines", "size", "all", "since", "waiting", "lag"]]
    table += [
        [
            escape(output["name"]),
            f"{output['written']:,}",
            escape(output["current"]),
            f"{output['lines']:,}",
            size(output["size"]) if output["size"] else "-",
            size(output["kept_size"]) if output.get("kept_size") else "-",
            clock(output["kept_since"]) if output.get("kept_since") else "-",
            f"{output['waiting_records']:,}",
            duration(output["lag_s"]) if output["lag_s"] >= 1 else "-",
        ]
        for output in outputs
    ]
    lines = _columns(table, "<><>>>>>>")
    shown = [paint(lines[0], "dim")]
    for line, output in zip(lines[1:], outputs, strict=True):
        shown.append(line)
        shown += _acknowledged(output.get("measures", {}))
        shown += _set_aside(output.get("measures", {}), paint)
        shown += _disk(output["disk"], paint)
        shown += _troubles(output, paint, is_standing_by=output["name"] in standing_by)
    return shown


def _partitions(partitions: Sequence[Snapshot], paint: Paint) -> list[str]:
    """What is read from a source."""
    if not partitions:
        return []
    table = [["partition", "read", "records", "left", "lag", "repeated", "gaps", "holes", "poison"]]
    table += [
        [
            str(one["number"]),
            f"to {one['place'] or 0:,}" if one["is_reading"] else "by others",
            f"{one['records']:,}",
            f"{one['left_messages']:,}",
            duration(one["lag_s"]) if one["lag_s"] >= 1 else "-",
            *(f"{one[name]:,}" for name in ("repetitions", "gaps", "holes", "poison")),
        ]
        for one in partitions
    ]
    lines = _columns(table, "><>>>>>>>")
    shown = [paint(lines[0], "dim")]
    for line, one in zip(lines[1:], partitions, strict=True):
        shown.append(paint(line, "red") if one["holes"] or one["poison"] else line)
    return shown


def _acknowledged(measures: Snapshot) -> list[str]:
    """How an engine acknowledges."""
    if "ack_p50_seconds" not in measures:
        return []
    p50, p99 = (measures[f"ack_{name}_seconds"] * 1000 for name in ("p50", "p99"))
    again = f"{measures['published_again']:,.0f} times published again"
    return [f"  acknowledged in {p50:,.1f} ms (p99 {p99:,.1f} ms), {again}"]


def _left_behind(left: Sequence[Snapshot], paint: Paint) -> list[str]:
    """Queues that no output of the settings will take."""
    return [
        paint(
            f"  {escape(one['path'])}, {size(one['bytes'])}, is left for output "
            f"{escape(one['output'])}, which the settings do not name: see logd queue --help",
            "red",
        )
        for one in left
    ]


def _set_aside(measures: Snapshot, paint: Paint) -> list[str]:
    """What crashes left of an output's files."""
    count = measures.get("set_aside_files")
    if not count:
        return []
    text = f"  set aside after a crash: {count:,} files, {size(measures['set_aside_bytes'])}"
    return [paint(f"{text}; logd query --set-aside shows them", "yellow")]


def _disk(disk: Snapshot, paint: Paint) -> list[str]:
    """What waits on disk for an output."""
    lines = []
    if disk["records"]:
        text = f"  {disk['records']:,} records wait on disk, {size(disk['bytes'])}"
        text += f" of {size(disk['limit_bytes'])}" if disk["limit_bytes"] else ""
        if disk["oldest_at"] is not None:
            text += f", the oldest since {clock(disk['oldest_at'])}"
        if disk["records_per_s"] >= 1:
            text += f"; written at {disk['records_per_s']:,.0f}/s"
            text += f", {duration(disk['left_s'])} left" if disk["left_s"] is not None else ""
        lines.append(paint(text, "yellow"))
    if disk["full_since"] is not None:
        since = clock(disk["full_since"])
        lines.append(paint(f"  no room on disk since {since}: senders wait", "red"))
    return lines


def _troubles(output: Snapshot, paint: Paint, *, is_standing_by: bool) -> list[str]:
    error = output["last_error"]
    if is_standing_by and error is not None:
        return [paint(f"  not this daemon's now: {escape(error['text'])}", "yellow")]
    if output["failing_since"] is not None:
        since = clock(output["failing_since"])
        text = f"  failing since {since}, tried {output['retries']:,} times"
        return [paint(f"{text}: {escape(error['text'])}" if error else text, "red")]
    if error is not None:
        text = f"  last error at {clock(error['time'])}: {escape(error['text'])}"
        return [paint(text, "yellow")]
    return []


def _connections(connections: Sequence[Snapshot], paint: Paint) -> list[str]:
    if not connections:
        return []
    table = [["peer", "kind", "records", "received", "unacknowledged", "open"]]
    for one in connections:
        is_session = one["kind"] == "session"
        table.append(
            [
                escape(one["peer"]),
                one["kind"],
                f"{one['records']:,}",
                size(one["bytes"]),
                f"{one['unacknowledged']:,}" if is_session else "-",
                duration(one["open_s"]),
            ]
        )
    lines = _columns(table, "<<>>>>")
    return ["", paint(lines[0], "dim"), *lines[1:]]


def _faults(faults: Snapshot, paint: Paint) -> list[str]:
    if not faults["total"]:
        return []
    lines = [f"{faults['total']:,} faults of senders, {faults['bad_frames']:,} of them bad frames"]
    lines += [
        f"  {clock(fault['time'])}  {escape(fault['peer'])}  {escape(fault['reason'])}"
        for fault in faults["last"]
    ]
    return ["", paint(lines[0], "yellow"), *lines[1:]]


def _columns(table: Sequence[Sequence[str]], alignment: str) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            f"{cell:{align}{width}}"
            for cell, align, width in zip(row, alignment, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def size(count: float) -> str:
    """Bytes for people: "812 B", "1.5 MiB"."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:,.1f} TiB"


def duration(seconds: float) -> str:
    """A time span for people: "7 s", "2:05 min", "3:10 h", "12 d 4 h"."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 86_400:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def clock(when: float) -> str:
    """Local time of day, with the date if it is not today's."""
    local = time.localtime(when)
    is_today = local[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S", local)

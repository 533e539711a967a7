"""`logd disk`: the files and tables of a log, their age and size, and how much comes each day."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import closing

import click

from logd.cli import EXIT_FAILED
from logd.cli.bars import table
from logd.cli.cutting import clipped, columns
from logd.cli.printing import put, quiet_end
from logd.cli.reading import note, source_options
from logd.cli.statusscreen import size as size_text
from logd.query.inventory import StoredPiece, by_day
from logd.query.places import nothing_there
from logd.query.positions import CannotRead
from logd.query.source import LogSource
from logd.query.summaries import Count
from logd.settings.table import Config
from logd.text.escaping import escape
from logd.text.quantities import counted

_SHOWN_DAYS = 14


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each file and table.")
@source_options
def disk(sources: Sequence[LogSource], settings: Config, is_json: bool) -> None:
    """Show each file and table of the log: where it is, its size and age.

    Then it shows how many bytes came each day, and what else lies in the daemon's own folder.
    """
    is_all_there = bool(sources)
    if not sources:
        note(nothing_there(""))
    with quiet_end():
        is_first = True
        for source in sources:
            with closing(source):
                try:
                    pieces = source.inventory()
                    if not pieces:
                        raise CannotRead(nothing_there(source.name))
                except CannotRead as exc:
                    is_all_there = False
                    note(str(exc))
                    continue
            if is_json:
                rows = (json.dumps({"log": source.name, **vars(piece)}) for piece in pieces)
                put("".join(f"{row}\n" for row in rows).encode())
                continue
            if not is_first:
                put(b"\n")
            is_first = False
            _put(_described(source.name, pieces))
        if not is_json:
            _put(_state(settings))
    if not is_all_there:
        sys.exit(EXIT_FAILED)


def _width() -> int | None:
    """Columns of the terminal; None if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _put(lines: Sequence[str]) -> None:
    width = _width()
    cut = [line if width is None else clipped(line, width) for line in lines]
    put("".join(f"{line}\n" for line in cut).encode("utf-8", "backslashreplace"))


def _described(name: str, pieces: Sequence[StoredPiece]) -> list[str]:
    logs = [piece for piece in pieces if piece.is_log]
    others = [piece for piece in pieces if not piece.is_log]
    firsts = [piece.first for piece in logs if piece.first is not None]
    total = sum(piece.size for piece in pieces)
    lines = [f"{escape(name)}: {size_text(total)}"]
    if firsts:
        lines = _fitting([f"{lines[0]}, since {_when(min(firsts))}"]) or [
            *lines,
            f"  since {_when(min(firsts))}",
        ]
    for piece in logs:
        lines += _lines(piece)
    for kind in dict.fromkeys(piece.kind for piece in others):
        some = [piece for piece in others if piece.kind == kind]
        what = escape(some[0].name) if len(some) == 1 else f"{len(some)} files"
        lines.append(f"  {size_text(sum(p.size for p in some)):>9}  {kind:<10}  {what}")
    days = by_day(logs, time.localtime().tm_gmtoff)
    if days:
        shown = list(days.items())[-_SHOWN_DAYS:]
        counts = [
            Count(time.strftime("%Y-%m-%d", time.gmtime(day * 86_400)), round(size))
            for day, size in shown
        ]
        width = min(70, shutil.get_terminal_size().columns)
        is_unicode = "utf" in (sys.stdout.encoding or "").lower()
        lines.append("  bytes on disk by the day:")
        lines += [f"    {line}" for line in table(counts, width - 4, is_unicode=is_unicode)]
    return lines


def _fitting(lines: list[str]) -> list[str]:
    """The lines if the terminal is wide enough for them; else nothing."""
    width = _width()
    return lines if width is None or all(columns(line) <= width for line in lines) else []


def _lines(piece: StoredPiece) -> list[str]:
    """A file or table: one line, or two or three if the terminal is narrow."""
    records = "" if piece.records is None else f"  {counted(piece.records, 'record')}"
    first = "?" if piece.first is None else _when(piece.first)
    last = "?" if piece.last is None else _when(piece.last)
    size, name = size_text(piece.size), escape(piece.name)
    times = f"{first} to {last}"
    return (
        _fitting([f"  {size:>9}  {piece.kind:<10}  {times}  {name}{records}"])
        or _fitting([f"  {size:>9}  {piece.kind}  {name}", f"    {times}{records}"])
        or [f"  {size:>9}  {piece.kind}{records}", f"    {name}", f"    {times}"]
    )


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _state(settings: Config) -> list[str]:
    """The daemon's own folder: queues, marks, dead letters."""
    folder = settings.state_folder
    sizes: dict[str, int] = {}
    try:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                part = path.relative_to(folder).parts[0]
                sizes[part] = sizes.get(part, 0) + path.stat().st_size
    except OSError as exc:
        return ["", f"state {escape(str(folder))}: {exc.strerror}"]
    if not sizes:
        return []
    lines = ["", f"state {escape(str(folder))}: {size_text(sum(sizes.values()))}"]
    return lines + [
        f"  {size_text(size):>9}  {escape(part)}" for part, size in sorted(sizes.items())
    ]

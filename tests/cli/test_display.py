"""How entries are shown."""

from __future__ import annotations

import re
import sys

import click
import pytest

from logd.cli.display import JsonEntries, is_colored, make_display
from logd.records.entry import Entry
from logd.text.reading import entry_text

ENTRY = Entry(
    1_790_000_400.0,
    "2026-09-21T14:20:00.000+0000",
    "E",
    4711,
    "10.0.0.7",
    17,
    "it failed\nbadly \x1b[2J",
    "MainThread",
    9,
    "charge",
    "views.py(42)<-urls.py(10)",
    {"user": "ann"},
)


def plain(text: str) -> str:
    """The text without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("cat", ["E", "W", "I", "", "C"])
def test_colours(cat: str) -> None:
    """Without its colours a line is that of the log; a message can't make any of its own."""
    entry = Entry(None, ENTRY.ts, cat, 1, "", 2, ENTRY.msg)
    line = make_display("text", color="always", timestamp=None).line(entry)
    assert plain(line) == entry_text(entry)
    assert ("\x1b[31mit failed" in line) == (cat == "E")
    undated = Entry(None, "", cat, 1, "", 2, "x")
    assert plain(make_display("text", color="always", timestamp=None).line(undated)) == entry_text(
        undated
    )


def test_lines_of_other_making() -> None:
    """What is no line of the layout is shown as it is, made safe."""
    entry = Entry(None, "", "", 0, "", 0, "any\x1btext", raw="any\x1btext")
    assert make_display("text", color="always", timestamp=None).line(entry) == "any\\x1btext"


def test_own_format() -> None:
    """A format has the fields of logging, of logd, and special items."""
    display = make_display(
        "text",
        fmt="%(asctime)s %(levelname)s %(path)s %(lineno)d %(user)s %(peer)s %(message)s",
        color="never",
        timestamp="%Y",
    )
    assert display.line(ENTRY) == (
        "2026 ERROR views.py(42)<-urls.py(10) 42 ann 10.0.0.7 it failed\\nbadly \\x1b[2J"
    )
    with pytest.raises(click.BadParameter, match="expected a field"):
        make_display("text", fmt="%(x", color="never", timestamp=None)


def test_json() -> None:
    """JSON is one object a line."""
    data = JsonEntries().data([ENTRY, ENTRY])
    assert data.count(b"\n") == 2
    assert b'"user": "ann"' in data


def test_when_to_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours are for terminals that can show them, unless NO_COLOR is set."""
    for is_terminal in (True, False):
        monkeypatch.setattr(sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal)
        assert is_colored("auto", {}) == is_terminal
        assert not is_colored("auto", {"NO_COLOR": "1"})
        assert not is_colored("auto", {"TERM": "dumb"})
        assert is_colored("auto", {"NO_COLOR": ""}) == is_terminal
        assert is_colored("always", {"NO_COLOR": "1"})
        assert not is_colored("never", {})

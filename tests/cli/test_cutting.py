"""Lines fit the terminal, whatever is in them, and are whole everywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.cli.cutting import columns, cut, shortened
from tests.cli import terminal
from tests.cli.terminal import COLUMNS, on_terminal
from tests.query.log_making import record, write_log

RED, RESET = "\x1b[31m", "\x1b[0m"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1234567890", "1234567890"),
        ("12345678901", "123456789…"),
        (f"{RED}1234567890{RESET}", f"{RED}1234567890{RESET}"),
        (f"12{RED}345678901{RESET}", f"12{RED}3456789{RESET}…"),
        (f"{RED}12{RESET}345678901", f"{RED}12{RESET}3456789…"),
        ("\N{CJK UNIFIED IDEOGRAPH-65E5}" * 5, "\N{CJK UNIFIED IDEOGRAPH-65E5}" * 5),
        ("\N{CJK UNIFIED IDEOGRAPH-65E5}" * 6, "\N{CJK UNIFIED IDEOGRAPH-65E5}" * 4 + "…"),
        ("e\N{COMBINING ACUTE ACCENT}" * 10, "e\N{COMBINING ACUTE ACCENT}" * 10),
        ("", ""),
    ],
)
def test_cut(line: str, expected: str) -> None:
    """Colours take no room and are turned off; wide characters take two columns."""
    assert cut(line, 10, is_unicode=True) == expected


DIM = "\x1b[2m"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-11-27T19:56:18.739+0000 E 8742@10.0.0.7#181 failed", "11-27 19:56 E failed"),
        ("2026-11-27T19:56:18.739+0000 - -1#-7 failed: 1#2 x", "11-27 19:56 - failed: 1#2 x"),
        (
            f"{DIM}2026-11-27T19:56:18.739+0000{RESET} {RED}E{RESET}{DIM} 8742#1 {RESET}{RED}x",
            f"{DIM}11-27 19:56{RESET} {RED}E{RESET} {RED}x",
        ),
        ("  | 2026-11-27T19:56:18.739+0000 E 1#1 x", "  | 2026-11-27T19:56:18.739+0000 E 1#1 x"),
        ("", ""),
    ],
)
def test_shortened(line: str, expected: str) -> None:
    """Of what stands before a message the day, the minute and the category are left."""
    assert shortened(line) == expected


def test_a_narrow_terminal_shows_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 40 columns, too, one sees what happened."""
    monkeypatch.setattr(terminal, "COLUMNS", 40)
    write_log(tmp_path / "logs/logd_%d.log", [record(1, cat="E", msg="card declined " * 9)])
    shown = on_terminal(tmp_path, "query", "--no-pager", NO_COLOR="1")
    assert " E card declined card decl" in shown


def test_on_a_terminal(tmp_path: Path) -> None:
    """Outside of the pager long lines are cut to the width; `--full` shows them whole."""
    write_log(tmp_path / "logs/logd_%d.log", [record(1, msg="x" * 300 + "\n" + "y" * 300)])
    shown = on_terminal(tmp_path, "query", "--no-pager", NO_COLOR="1").split("\n")
    lines = [line for line in shown if "x" in line or "y" in line]
    assert [columns(line) for line in lines] == [COLUMNS, COLUMNS]
    assert all(line.endswith("…") for line in lines)
    assert "x" * 300 in on_terminal(tmp_path, "query", "--no-pager", "--full")
    assert "x" * 300 in on_terminal(tmp_path, "query", "--no-pager", "--json")

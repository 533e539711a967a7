"""Help texts as people see them."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = [
    *("", "serve", "config", "status", "ping", "send", "replay", "queue", "queue list"),
    *("queue export", "queue send", "tail", "query", "disk", "verify", "web"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_laid_out(command: str) -> None:
    """Examples stand on lines of their own; nothing of the markup shows; it fits 80 columns."""
    arguments = [sys.executable, "-m", "logd", *command.split(), "--help"]
    text = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    assert text.startswith("Usage: ")
    assert "\\b" not in text
    assert "\b" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    examples = [line for line in text.splitlines() if line.strip().startswith("Examples:")]
    assert all(line.strip() == "Examples:" for line in examples)


def test_help_of_the_page_is_about_the_page() -> None:
    """`logd web` takes all settings, and explains those of the page and of where the log is."""
    arguments = [sys.executable, "-m", "logd", "web", "--help"]
    text = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    assert "--web-users-file" in text
    assert "--file" in text
    assert "--max-connections" not in text
    assert "--rotate-count" not in text

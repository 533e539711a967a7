"""Help texts as people see them."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = ["", "serve", "config", "status", "ping", "send", "replay", "queue", "tail", "query"]


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

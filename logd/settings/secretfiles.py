"""Files that hold a secret in their first line: tokens, addresses that must not be known."""

from __future__ import annotations

from pathlib import Path


def secret_in(path: Path, what: str) -> str:
    """The first line of a file, without blanks around it.

    Args:
        path: of the file.
        what: it should hold, for the error.

    Raises:
        OSError: it can't be read.
        ValueError: its first line is empty; a `UnicodeDecodeError` if it is not UTF-8.
    """
    line = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    if not line:
        raise ValueError(f"its first line should hold the {what}, and is empty")
    return line

"""The recipes of the client's README, as files in a folder and a command that runs there."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "client" / "README.md"

_RECIPE = re.compile(r"^### (?P<title>[^\n]*)\n(?P<text>.*?)(?=^##)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Recipe:
    """What stands under one heading.

    Attributes:
        title: the heading.
        files: texts by name.
        command: what is typed at the prompt.
    """

    title: str
    files: dict[str, str]
    command: str

    def write(self, folder: Path, changes: dict[str, str]) -> list[str]:
        """Write the files, with texts replaced as `changes` has it; returns the command."""

        def changed(text: str) -> str:
            for old, new in changes.items():
                text = text.replace(old, new)
            return text

        for name, text in self.files.items():
            (folder / name).write_text(changed(text), encoding="utf-8")
        program, *arguments = shlex.split(changed(self.command))
        if program == "python":
            return [sys.executable, *arguments]
        # Beside this Python, whether or not its environment is active.
        return [str(Path(sys.executable).with_name(program)), *arguments]


def recipes() -> dict[str, Recipe]:
    """All recipes by their titles."""
    found = {}
    for match in _RECIPE.finditer(README.read_text("utf-8")):
        files, command = {}, ""
        for block in _BLOCK.finditer(match["text"]):
            first = block["text"].splitlines()[0]
            if block["language"] == "console":
                command = first.removeprefix("$ ")
            else:
                files[first.removeprefix("# ")] = block["text"]
        if command:
            found[match["title"]] = Recipe(match["title"], files, command)
    return found


def with_sockethandler(port: int) -> dict[str, str]:
    """What to replace in a recipe so that it uses the standard library's handler."""
    by_name = f'{{"class": "logging.handlers.SocketHandler", "host": "127.0.0.1", "port": {port}}}'
    made = f'__import__("logging.handlers").handlers.SocketHandler("127.0.0.1", {port})'
    return {'{"class": "logd_client.LogdHandler"}': by_name, "LogdHandler()": made}

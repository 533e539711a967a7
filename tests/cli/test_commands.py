"""What `logd` says of itself, and how fast."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import logd as package
from logd.cli.commands import COMMANDS
from logd.settings.table import SETTINGS

Command = Callable[..., "subprocess.CompletedProcess[str]"]

# What takes long to import, and no usage text needs.
HEAVY = (
    "asyncio",
    "uvloop",
    "sqlalchemy",
    "msgspec",
    "backports.zstd",
    "prometheus_client",
    "logging.handlers",
)


def test_version(logd: Command) -> None:
    """`logd --version` names the version of the package."""
    done = logd("--version")
    assert done.stdout.startswith(f"logd {package.__version__} (Python {sys.version_info[0]}.")
    assert (done.returncode, done.stderr) == (0, "")


def test_help_lists_all_commands(logd: Command) -> None:
    """`logd --help` has each command with a sentence."""
    text = logd("--help").stdout
    for name, entry in COMMANDS.items():
        assert f"  {name}" in text
        assert entry.help in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(logd: Command, name: str) -> None:
    """`logd COMMAND --help` works, and -h is the same."""
    done = logd(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: logd {name} ")
    assert logd(name, "-h").stdout == done.stdout


def test_serve_explains_every_setting(logd: Command) -> None:
    """`logd serve --help` has an option for each setting under the heading of its group."""
    text = logd("serve", "--help").stdout
    position = 0
    for setting in SETTINGS.values():
        heading = text.index(f"\n{setting.group}:\n")
        position = text.index(f"  {setting.option} ", heading)
        assert position > heading
    assert "Examples:" in text


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("serve", "--help")])
def test_usage_texts_import_little(arguments: tuple[str, ...]) -> None:
    """Usage texts come at once: no event loop, no database library is imported for them."""
    program = (
        "import sys\n"
        "from logd.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "finally:\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("logd ", {"serve", "send", "ping", "config"}),
        ("logd se", {"serve", "send"}),
        ("logd serve --rotate-c", {"--rotate-count"}),
        ("logd serve --sync ", {"batch", "none"}),
    ],
)
def test_completion(logd: Command, words: str, expected: set[str]) -> None:
    """The shell's completion knows commands, options and the words they take."""
    parts = words.split(" ")
    variables: dict[str, Any] = {"COMP_WORDS": words, "COMP_CWORD": str(len(parts) - 1)}
    done = logd(_LOGD_COMPLETE="bash_complete", **variables)
    found = {line.partition(",")[2] for line in done.stdout.splitlines()}
    assert expected <= found


def test_completion_script(logd: Command) -> None:
    """The line of the README gives a script for bash."""
    assert "_LOGD_COMPLETE=bash_complete" in logd(_LOGD_COMPLETE="bash_source").stdout


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("serve", "--nonsense"), ("ping", "--port", "x"), ("ping", "x")]
)
def test_wrong_usage(logd: Command, arguments: tuple[str, ...]) -> None:
    """What makes no sense ends with status 2 and a hint at the usage text."""
    done = logd(*arguments)
    assert done.returncode == 2
    assert "--help" in done.stderr

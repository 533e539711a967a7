"""`logd config`, and what `logd serve` says of wrong settings."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from logd.settings.table import SETTINGS

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_settings_of_all_places(logd: Command, tmp_path: Path) -> None:
    """Options, variables and the file are shown as one valid file, in their order of precedence."""
    path = tmp_path / "logd.toml"
    path.write_text("rotate_count = 3\nrotate_lines = 3\nsync = 'none'\n")
    options = ("--config", "logd.toml", "--rotate-count", "1", "--port", "1", "--port", "2")
    done = logd("config", *options, "--no-uvloop", "--stdout", LOGD_ROTATE_LINES="2")
    values = tomllib.loads(done.stdout)
    assert set(values) == set(SETTINGS)
    assert (values["rotate_count"], values["rotate_lines"], values["sync"]) == (1, 2, "none")
    assert (values["port"], values["loop"], values["stdout"]) == ([1, 2], "asyncio", True)
    assert f'sync = "none"  # {path}' in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_file_named_by_a_variable(logd: Command, tmp_path: Path) -> None:
    """LOGD_CONFIG names the file where no option does."""
    (tmp_path / "logd.toml").write_text("rotate_count = 3\n")
    assert "rotate_count = 3 " in logd("config", LOGD_CONFIG="logd.toml").stdout


def test_printed_file_is_right(logd: Command, tmp_path: Path) -> None:
    """A printed file passes the check and gives the same settings again."""
    first = logd("config", "--rotate-size", "5 MB", "--drain-s", "2 min").stdout
    (tmp_path / "logd.toml").write_text(first)
    done = logd("config", "--check", "logd.toml")
    assert (done.returncode, done.stdout) == (0, "logd.toml: all settings are right\n")
    again = logd("config", "--config", "logd.toml").stdout
    assert tomllib.loads(again) == tomllib.loads(first)


def test_check_builds_what_a_start_builds(logd: Command, tmp_path: Path) -> None:
    """The check refuses what the daemon would, with the file's name, exit 2."""
    (tmp_path / "logd.toml").write_text("columns = ['time:Integer']\nfile = ['a/%d/x_%d.log']\n")
    done = logd("config", "--check", "logd.toml")
    first, second = done.stderr.splitlines()
    path = tmp_path / "logd.toml"
    assert first.startswith(f"logd: {path}: output file:{tmp_path}/a/%d/x_%d.log: ")
    assert second.startswith(f"logd: {path}: table_pattern, columns: ")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    "arguments", [("config", "--check", "logd.toml"), ("serve", "--config", "logd.toml")]
)
def test_wrong_file(logd: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Each fault of a file is one line with file, key, expected and got; nothing is started."""
    (tmp_path / "logd.toml").write_text("rotate_cuont = 3\ndrain_s = 'long'\n")
    done = logd(*arguments)
    path = tmp_path / "logd.toml"
    assert done.stderr.splitlines() == [
        f'logd: {path}: unknown key "rotate_cuont"; did you mean "rotate_count"?',
        f"logd: {path}: drain_s: expected {SETTINGS['drain_s'].kind.expected}; got 'long'",
    ]
    assert (done.returncode, done.stdout) == (2, "")
    assert [item.name for item in tmp_path.iterdir()] == ["logd.toml"]


def test_check_leaves_the_environment_aside(logd: Command, tmp_path: Path) -> None:
    """A file is judged by itself, whatever the shell's variables say."""
    (tmp_path / "logd.toml").write_text("rotate_count = 3\n")
    assert logd("config", "--check", "logd.toml", LOGD_ROTATE_COUNT="x").returncode == 0


def test_open_door_is_told(logd: Command) -> None:
    """Settings that let strangers log are shown with a warning."""
    done = logd("config", "--host", "0.0.0.0")
    assert done.returncode == 0
    assert "0.0.0.0 can write to this log" in done.stderr


def test_contradiction_of_loop_options(logd: Command) -> None:
    """--no-uvloop and --loop uvloop together make no sense."""
    done = logd("config", "--loop", "uvloop", "--no-uvloop")
    assert done.returncode == 2
    assert "--no-uvloop contradicts" in done.stderr

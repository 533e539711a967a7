"""The token: from a file or a variable, shown nowhere, a change when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.settings.loading import changes, load, reload
from logd.settings.sources import Sources
from tests.settings.files import faults, of_file


def test_token_of_a_file(tmp_path: Path) -> None:
    """The token is the first line of its file; a file that others can read is noted."""
    path = tmp_path / "token"
    path.write_text(" geheim \nrest\n", encoding="utf-8")
    path.chmod(0o640)
    in_force = load(Sources({"token_file": str(path)}))
    assert (in_force.config.token, in_force.notes) == ("geheim", ())
    path.chmod(0o644)
    assert "chmod o-r" in load(Sources({"token_file": str(path)})).notes[0]


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\n", "is empty"), (b"\xff\n", "utf-8"), (None, "No such file")]
)
def test_unusable_token_files_are_named(tmp_path: Path, data: bytes | None, reason: str) -> None:
    """A token file that is absent, empty or no text is named with the option."""
    path = tmp_path / "token"
    if data is not None:
        path.write_bytes(data)
    (fault,) = faults(Sources({"token_file": str(path)}))
    assert fault.startswith(f"option --token-file: token_file: {path}: ")
    assert reason in fault


def test_token_of_the_environment(tmp_path: Path) -> None:
    """LOGD_TOKEN goes before a token file of the settings, and an option before LOGD_TOKEN."""
    path = tmp_path / "token"
    path.write_text("of-file\n", encoding="utf-8")
    path.chmod(0o600)
    direct = {"LOGD_TOKEN": "direct"}
    settings = of_file(tmp_path, f'token_file = "{path}"\n').file
    assert load(Sources({}, direct, settings)).config.token == "direct"
    assert load(Sources({"token_file": str(path)}, direct)).config.token == "of-file"
    (fault,) = faults(Sources({}, {**direct, "LOGD_TOKEN_FILE": str(path)}))
    assert "only one" in fault


def test_a_new_token_is_a_change(tmp_path: Path) -> None:
    """A token file with a new token counts as changed though its name is the same."""
    path = tmp_path / "token"
    path.write_text("one")
    path.chmod(0o600)
    old = load(Sources({"token_file": str(path)})).config
    path.write_text("two")
    assert changes(old, reload(old).config).now == ("token_file",)
    assert changes(old, old) == ((), ())

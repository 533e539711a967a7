"""Settings as text: printed as TOML, and the table in the README."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from logd.settings.loading import load
from logd.settings.printing import as_markdown, as_toml
from logd.settings.sources import Sources
from logd.settings.table import SETTINGS

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- settings begin -->\n", "<!-- settings end -->\n"


def test_readme_has_every_setting() -> None:
    """The README's table is the one made from the settings; `make readme` writes it."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    if os.environ.get("UPDATE_README") == "1":
        README.write_text(before + BEGIN + as_markdown() + END + after, encoding="utf-8")
        table = as_markdown()
    assert table == as_markdown()


def test_printed_settings_are_a_file_with_the_same_settings(tmp_path: Path) -> None:
    """What is printed, read as a file, gives the very same settings."""
    in_force = load(
        Sources(
            command_line={
                "file": ('a "quoted" \\ name_%d.log', "b_%d.log"),
                "rotate_lines": "off",
                "rotate_at": "weekly mon 03:00",
                "keep_age_s": "1.5 h",
                "min_free_bytes": "1000",
                "socket": "/run/x",
                "socket_mode": "600",
                "timestamp": "none",
                "stdout": "true",
                "drain_s": "0",
            }
        )
    )
    path = tmp_path / "logd.toml"
    path.write_text(as_toml(in_force), encoding="utf-8")
    assert load(Sources(file=path)).config == in_force.config


def test_every_line_says_where_its_value_came_from(tmp_path: Path) -> None:
    """Behind each setting stands its source: option, variable, file or default."""
    path = tmp_path / "logd.toml"
    path.write_text("rotate_count = 3\n", encoding="utf-8")
    text = as_toml(load(Sources({"port": ("1",)}, {"LOGD_SYNC": "none"}, path)))
    lines = text.splitlines()
    assert "port = [1]  # option --port" in lines
    assert 'sync = "none"  # variable LOGD_SYNC' in lines
    assert f"rotate_count = 3  # {path}" in lines
    assert 'drain_s = "30 s"  # default' in lines
    assert set(tomllib.loads(text)) == set(SETTINGS)


@pytest.mark.parametrize(
    ("name", "address", "shown"),
    [
        ("db", "postgresql://ann:p%40ss@host/logs", "postgresql://ann:***@host/logs"),
        ("db", "mysql+pymysql://:pw@h/x", "mysql+pymysql://:***@h/x"),
        ("db", "postgresql:///x?user=a&password=pw&c=1", "postgresql:///x?user=a&password=***&c=1"),
        ("db", "sqlite:///a.db", "sqlite:///a.db"),
        ("observer", "a.b:Mail?loginuser=a&serverpw=pw", "a.b:Mail?loginuser=a&serverpw=***"),
        ("output", "kafka:https://u:pw@h?token=pw", "kafka:https://u:***@h?token=***"),
    ],
)
def test_passwords_are_not_printed(name: str, address: str, shown: str) -> None:
    """Passwords of addresses are left out, whatever they look like, also of repr()."""
    in_force = load(Sources({name: (address,)}))
    assert tomllib.loads(as_toml(in_force))[name] == [shown]
    assert "pw" not in repr(in_force.config)
    assert "p%40ss" not in repr(in_force.config)


def test_token_is_not_printed(tmp_path: Path) -> None:
    """The token appears nowhere, neither that of the variable nor that of the file."""
    path = tmp_path / "token"
    path.write_text("geheim\n", encoding="utf-8")
    path.chmod(0o600)
    for in_force in (
        load(Sources(environment={"LOGD_TOKEN": "geheim"})),
        load(Sources({"token_file": str(path)})),
    ):
        assert in_force.config.token == "geheim"
        assert "geheim" not in as_toml(in_force) + repr(in_force.config)

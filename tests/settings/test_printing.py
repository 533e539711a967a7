"""Settings as text: printed as TOML, and the table in the README."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from logd.cli.config import shown
from logd.errors import StartupError
from logd.settings.loading import load
from logd.settings.printing import as_markdown, as_toml
from logd.settings.secrets import reveal
from logd.settings.sources import Sources
from logd.settings.table import SETTINGS

README = Path(__file__).parents[2] / "logd" / "settings" / "README.md"
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
    path.write_text(as_toml(in_force, shown, tmp_path), encoding="utf-8")
    config = load(Sources(file=path)).config
    assert config.file == tuple(str(tmp_path / name) for name in in_force.config.file)
    assert replace(config, file=in_force.config.file) == in_force.config


def test_every_line_says_where_its_value_came_from(tmp_path: Path) -> None:
    """Behind each setting stands its source: option, variable, file or default."""
    path = tmp_path / "logd.toml"
    path.write_text("rotate_count = 3\n", encoding="utf-8")
    text = as_toml(load(Sources({"port": ("1",)}, {"LOGD_SYNC": "none"}, path)), shown, Path())
    lines = text.splitlines()
    assert "port = [1]  # option --port" in lines
    assert 'sync = "none"  # variable LOGD_SYNC' in lines
    assert f"rotate_count = 3  # {path}" in lines
    assert 'drain_s = "30 s"  # default' in lines
    assert set(tomllib.loads(text)) == set(SETTINGS)


@pytest.mark.parametrize(
    ("name", "address", "text"),
    [
        ("db", "postgresql://ann:p%40ss@host/logs", "postgresql://ann:***@host/logs"),
        ("db", "mysql+pymysql://:pw@h/x", "mysql+pymysql://:***@h/x"),
        ("db", "postgresql:///x?user=a&password=pw", "postgresql:///x?user=***&password=***"),
        ("db", "sqlite:///a.db", "sqlite:///a.db"),
        *(
            ("db", f"postgresql://ann:p{sign}pw@host/logs", "postgresql://ann:***@host/logs")
            for sign in "/#? :"
        ),
        ("db", "postgresql://ann:p@pw@host/logs", "postgresql://***"),
        ("db", "postgresql%3A%2F%2Fann:pw@x://", "***"),
        ("observer", "a.b:Mail?loginuser=a&serverpw=pw", "a.b:Mail?loginuser=***&serverpw=***"),
        ("observer", "logd.observers:Webhook?url=https://h/pw", "logd.observers:Webhook?url=***"),
        ("filter", "a.b:f", "a.b:f"),
        ("output", "kafka:https://u:pw@h?token=pw", "kafka:https://u:***@h?token=***"),
        ("output", "kafka:u:pw@h/topic?key=pw", "kafka:***@h/topic?***"),
        ("output", "kafka:host:9092/topic", "kafka:host:9092/topic"),
    ],
)
def test_passwords_are_not_printed(name: str, address: str, text: str) -> None:
    """Passwords of addresses are left out, whatever they look like, also of repr()."""
    in_force = load(Sources({name: (address,)}))
    assert tomllib.loads(as_toml(in_force, shown, Path()))[name] == [text]
    value = getattr(in_force.config, name)[0]
    assert reveal(value) == value == address
    for printed in (repr(in_force.config), str(value), repr(value), f"{value:>5}"):
        assert "pw" not in printed
        assert "p%40ss" not in printed


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
        assert "geheim" not in as_toml(in_force, shown, Path()) + repr(in_force.config)


@pytest.mark.parametrize("name", ["db", "output", "filter", "observer"])
def test_faults_in_secret_values_do_not_show_them(name: str) -> None:
    """An error line says what was expected, not what stands there."""
    for sources in (
        Sources({name: ("nonsense hush/#?",)}),
        Sources(environment={f"LOGD_{name.upper()}": "'nonsense hush/#?'"}),
    ):
        with pytest.raises(StartupError) as caught:
            load(sources)
        assert "expected" in str(caught.value)
        assert "hush" not in str(caught.value)
    twice = {"db": "sqlite:///hush", "output": "a:hush"}.get(name, "a:b?c=hush")
    with pytest.raises(StartupError) as caught:
        load(Sources({name: (twice, twice)}))
    assert "hush" not in str(caught.value)

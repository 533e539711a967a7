"""What `logd config --check` finds is what a start would refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from logd.daemon.checking import faults
from logd.settings.secrets import Secret
from logd.settings.table import Config


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"db": (Secret("oracle://x"),)}, "database URL not understood"),
        ({"file": ("a/%d/x_%d.log",)}, "must be in the last part"),
        ({"file": ("app_%d_%d.log",)}, "expected one %d for the number"),
        ({"output": (Secret("kafak:x"),)}, "is not installed"),
        ({"filter": (Secret("logd.filters:Categorys"),)}, 'there is no "Categorys"'),
        ({"filter": (Secret("nowhere:f"),)}, 'there is no module "nowhere"'),
        ({"observer": (Secret("logd.observers:Webhook"),)}, "expected either url or url_file"),
        ({"line_format": "%(nothing)q"}, "line_format"),
        ({"columns": ("time:Integer",)}, "time"),
        ({"columns": ("user",)}, "user"),
        ({"columns": ("user:Text(5)",)}, "user:Text"),
        ({"columns": ("user:Integer", "User:String(5)")}, "User"),
        ({"table_pattern": "log"}, "table name pattern 'log'"),
        ({"table_pattern": "log_%d; drop"}, "table name pattern"),
        ({"table_pattern": "%d_log"}, "table name pattern"),
    ],
)
def test_what_a_start_refuses(values: dict[str, Any], text: str) -> None:
    """Each fault is one line, with what is wrong."""
    with_file = {"file": ("logs/app_%d.log",), **values}
    (line,) = faults(Config(**with_file))
    assert text in line
    assert "\n" not in line


def test_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right settings have no faults, and no file, folder or database is made for the check."""
    monkeypatch.chdir(tmp_path)
    config = Config(
        file=("logs/app_%d.log",),
        db=(Secret("sqlite:///here.db"), Secret("postgresql://nobody@127.0.0.1:1/none")),
        filter=(Secret("logd.filters:Categories?disable=D"),),
        observer=(Secret("logd.observers:Webhook?url=http://127.0.0.1:1/"),),
        columns=("user:String(64)", "n:Integer"),
        table_pattern="log_%d",
    )
    assert faults(config) == []
    assert list(tmp_path.iterdir()) == []


def test_all_faults_are_told() -> None:
    """One fault does not hide another."""
    config = Config(
        file=("a_%d_%d",), db=(Secret("oracle://x"),), filter=(Secret("x:y"), Secret("z:y"))
    )
    assert len(faults(config)) == 4

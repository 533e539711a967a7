"""The distribution's page: its programs run, its table has every setting with its default."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ack_server import AckServer
from tests.servers.recipes import recipes

from logd_client.settingchecks import CHECKS, DEFAULTS, check_callable

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```python\n# (?P<name>\w+\.py)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {match["name"]: match["text"] for match in BLOCK.finditer(README)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop.py", {"order paid": {"order": 812, "price": "1.10"}}),
        ("configured.py", {"configured": {"service": "shop"}}),
        ("own.py", {"payment failed": {"order": 812}, "card charged": {}}),
        (
            "shared.py",
            {"order paid": {"service": "shop", "version": "1.2", "request_id": "r-17"}},
        ),
        ("structured.py", {"order paid": {"logger": "__main__", "order": 813}}),
    ],
)
def test_programs_log_what_the_page_says(
    tmp_path: Path, server: AckServer, name: str, expected: dict[str, dict[str, object]]
) -> None:
    """Each program sends its records with their items."""
    programs = {**PROGRAMS, "shop.py": next(BLOCK.finditer(README))["text"]}
    text = programs[name].replace('"localhost", 9801', f'"127.0.0.1", {server.port}')
    (tmp_path / name).write_text(text)
    url = f"logd://127.0.0.1:{server.port}?spool={tmp_path}/spool&static.service=shop"
    environment = {**os.environ, "LOGD_URL": url} if name == "configured.py" else None
    subprocess.run([sys.executable, name], cwd=tmp_path, env=environment, check=True, timeout=60)
    assert {record[2]: record[4] for record in server.records} == expected


def test_the_table_has_every_setting() -> None:
    """Each setting stands there with its default and its variable."""
    row = r"^\| `(\w+)`.*? \| `(.*?)` \| (?:`(LOGD_\w+)`|none) \| .+ \|$"
    rows = re.findall(row, README, re.MULTILINE)
    written = {name: (default, variable) for name, default, variable in rows}
    assert written.pop("host") == ('"localhost"', "LOGD_HOST")
    assert written.pop("ports") == ("9801", "LOGD_PORT")
    assert written == {
        name: (
            repr(default).replace("'", '"'),
            "" if CHECKS[name] is check_callable else f"LOGD_{name.upper()}",
        )
        for name, default in DEFAULTS.items()
    }


def test_each_server_has_a_recipe() -> None:
    """The recipes that `make test-servers` runs are found, with files and a command each."""
    found = recipes()
    assert list(found) == [
        "uvicorn, FastAPI",
        "gunicorn",
        "uWSGI",
        "Django",
        "Celery",
        "RQ",
        "pytest",
        "A container's stop",
    ]
    for recipe in found.values():
        assert recipe.files
        for name, text in recipe.files.items():
            compile(text, name, "exec")
            assert "LogdHandler" in "".join(recipe.files.values())

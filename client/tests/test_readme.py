"""The distribution's page: its programs run, its table has every setting with its default."""

from __future__ import annotations

import grp
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ack_server import AckServer
from tests.daemon_process import running
from tests.ports import reserved_port
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


WAYS = re.findall(
    r"^\| (?P<who>[^|]+) \| (?P<settings>`\w+ = .*?) \| `(?P<made>LogdHandler\(.*?\))` or "
    r"`LOGD_URL=(?P<url>\S+)` \|$",
    README,
    re.MULTILINE,
)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the daemon runs on Python 3.11 or later")
@pytest.mark.parametrize(("who", "settings", "made", "url"), WAYS, ids=[way[0] for way in WAYS])
def test_who_may_send(tmp_path: Path, who: str, settings: str, made: str, url: str) -> None:
    """A daemon with the settings takes records of the app in both its ways, and of nobody else."""
    trustme = pytest.importorskip("trustme", reason="trustme makes the certificates")
    server, clients = trustme.CA(), trustme.CA()
    server.cert_pem.write_to_path(tmp_path / "ca.pem")
    clients.cert_pem.write_to_path(tmp_path / "clients.pem")
    for name, cert in (
        ("server", server.issue_cert("localhost")),
        ("shop", clients.issue_cert("shop.example")),
    ):
        cert.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        cert.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    (tmp_path / "token").write_text("TOKEN")
    with reserved_port() as port:

        def here(text: str) -> str:
            folders = r"/run/logd/|/etc/logd/|/etc/shop/"
            text = re.sub(folders, f"{tmp_path}/", text.replace("loghost", "localhost"))
            text = text.replace('"shop"', f'"{grp.getgrgid(os.getgid()).gr_name}"')
            return text.replace("9805", str(port))

        lines = [here(line) for line in re.findall(r"`(.*?)`", settings)]
        (tmp_path / "logd.toml").write_text("\n".join(["port = []", *lines, ""]))
        nobody = here('LogdHandler("localhost", 9805, tls_ca="/etc/shop/ca.pem", exit_timeout_s=1)')
        with running("--config", "logd.toml", folder=tmp_path, port=None) as daemon:
            for handler, text, variables in (
                (here(made), "by code", {}),
                ("LogdHandler()", "by variable", {"LOGD_URL": here(url)}),
                (nobody, "by nobody", {}),
            ):
                program = (
                    "import logging; from logd_client import LogdHandler\n"
                    f"logging.basicConfig(handlers=[{handler}]); logging.error({text!r})"
                )
                subprocess.run(
                    [sys.executable, "-c", program],
                    env={**os.environ, **variables},
                    stderr=subprocess.DEVNULL,
                    check=True,
                    timeout=60,
                )
            assert daemon.stop() == 0
            found = re.findall(r"by (?:code|variable|nobody)", daemon.log_text())
    assert found == ["by code", "by variable"]


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
        "Flask",
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

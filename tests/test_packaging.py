"""Both distributions build, install into an empty environment and work from there."""

from __future__ import annotations

import email
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import logd
import logd_client

ROOT = Path(__file__).parents[1]
PATIENCE_S = 300
# Variables of the caller would change what the fresh environments use.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("LOGD_", "VIRTUAL_ENV", "PYTHON", "MAKE", "MFLAGS"))
    and name not in ("ARGS", "WORKERS", "PORT", "LOGS")  # `make test ARGS=...` hands them on
}
# Compiling all that is installed takes longer than installing it, and the tests use little of it.
ENVIRONMENT["PIP_NO_COMPILE"] = "1"


def run(*command: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; shows its output where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def project(path: str) -> dict[str, Any]:
    """The [project] table of a pyproject.toml."""
    data: dict[str, Any] = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))
    return dict(data["project"])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A package index in reach: fresh environments are filled from there."""
    folder = tmp_path_factory.mktemp("index")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", "setuptools>=77"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no package index in reach: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, as a clone has them: nothing built, no environment."""
    folder = tmp_path_factory.mktemp("checkout") / "logd"
    folder.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "tests")
    for name in ("logd", "client", "systemd"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheels(index: None, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the wheels of both distributions."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in ("client", "."):
        build = (sys.executable, "-m", "build", "--wheel", "--outdir", folder, source)
        run(*build, cwd=checkout)
    return folder


@contextmanager
def daemon(*command: str | Path, cwd: Path) -> Iterator[str]:
    """A running daemon; gives the first address it is ready on. Stops it well at the end."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            match = re.search(r"ready on ([^ ,]+:\d+)", line)
            if match:
                break
        else:
            raise AssertionError("never ready: " + "".join(said))
        yield match[1]
    finally:
        # The whole group: make and the daemon it started, as Ctrl-C in a terminal does.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)


def send_and_find(logd_command: Path, address: str, log: Path) -> None:
    """Send a record with `logd send` and find it in the log."""
    port = address.rpartition(":")[2]
    run(logd_command, "send", "from afar", "--port", port, cwd=log.parent)
    assert "from afar" in log.read_text(encoding="utf-8")


def test_versions_agree() -> None:
    """Both distributions, both packages and the changelog name the same version."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d\S*)", changelog, re.MULTILINE)
    assert newest is not None
    assert {
        project("pyproject.toml")["version"],
        project("client/pyproject.toml")["version"],
        logd.__version__,
        logd_client.__version__,
    } == {newest[1]}


def test_client_depends_on_nothing() -> None:
    """The client needs the standard library only, from Python 3.9 on."""
    client = project("client/pyproject.toml")
    assert client["dependencies"] == []
    assert client["requires-python"] == ">=3.9"


def test_commands_exist() -> None:
    """Every command of the project names an object that is there."""
    entries = project("pyproject.toml")
    for value in entries["scripts"].values():
        module, _, name = value.partition(":")
        done = run(sys.executable, "-c", f"from {module} import {name}", cwd=ROOT)
        assert done.stderr == ""


def test_wheels_are_complete(wheels: Path) -> None:
    """The wheels have all modules, the marker of typed packages, the licence, no tests."""
    for package, folder in (("logd", ROOT), ("logd_client", ROOT / "client")):
        (path,) = wheels.glob(f"{package}-1*.whl")
        with zipfile.ZipFile(path) as wheel:
            names = set(wheel.namelist())
            (metadata,) = [name for name in names if name.endswith("/METADATA")]
            fields = email.message_from_bytes(wheel.read(metadata))
        modules = {str(path.relative_to(folder)) for path in (folder / package).rglob("*.py")}
        assert modules <= names
        assert f"{package}/py.typed" in names
        assert {name.split("/")[0] for name in names} == {package, metadata.split("/")[0]}
        assert fields["License-Expression"] == "MIT"
        needs = fields.get_all("Requires-Dist") or []
        assert any(need.startswith("logd-client") for need in needs) == (package == "logd")


def test_client_wheel_works_alone(wheels: Path, tmp_path: Path) -> None:
    """The client's wheel is usable where nothing else is installed."""
    (wheel,) = wheels.glob("logd_client-*.whl")
    program = "import sys; sys.path.insert(0, sys.argv[1]); import logd_client.socketclient"
    run(sys.executable, "-I", "-S", "-c", program, wheel, cwd=tmp_path)


def test_wheels_work_in_an_empty_environment(wheels: Path, tmp_path: Path) -> None:
    """Installed from their wheels into an empty environment, daemon and client work together."""
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env/bin/python"
    run(python, "-m", "pip", "install", "-q", *wheels.glob("*.whl"), cwd=tmp_path)
    command = tmp_path / "env/bin/logd"
    assert run(command, "--version", cwd=tmp_path).stdout.startswith(f"logd {logd.__version__} ")
    with daemon(command, "serve", "--port", "0", cwd=tmp_path) as address:
        send_and_find(command, address, tmp_path / "logs/logd_0.log")


def test_make_install_stages_a_working_service(index: None, checkout: Path, tmp_path: Path) -> None:
    """What `make install` stages works once it is moved in place, settings are left alone."""
    stage, prefix = tmp_path / "stage", tmp_path / "prefix"
    places = (f"DESTDIR={stage}", f"PREFIX={prefix}", f"PYTHON={sys.executable}")
    settings = stage / "etc/logd/logd.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("rotate_count = 3\n", encoding="utf-8")
    # Left by a build of another version, in this checkout.
    stale = checkout / "build/lib/logd/stale.py"
    stale.parent.mkdir(parents=True, exist_ok=True)  # the wheels may have been built here before
    stale.write_text("raise SystemExit('stale')\n", encoding="utf-8")
    run("make", "install", *places, cwd=checkout)
    assert settings.read_text(encoding="utf-8") == "rotate_count = 3\n"

    staged = stage / prefix.relative_to("/")
    shutil.copytree(staged, prefix, symlinks=True)
    unit = (prefix / "lib/systemd/system/logd.service").read_text(encoding="utf-8")
    assert f"ExecStart={prefix}/bin/logd serve --config /etc/logd/logd.toml\n" in unit
    for name in (
        "systemd/system/logd.socket",
        "systemd/system/logd-web.service",
        "sysusers.d/logd.conf",
        "tmpfiles.d/logd.conf",
    ):
        assert (prefix / "lib" / name).is_file()
    assert (stage / "etc/lnav/formats/logd/logd.json").is_file()
    assert not list(staged.rglob("stale.py"))
    command = prefix / "bin/logd"
    with daemon(command, "serve", "--port", "0", cwd=tmp_path) as address:
        send_and_find(command, address, tmp_path / "logs/logd_0.log")

    run("make", "uninstall", *places, cwd=checkout)
    left = [path for path in stage.rglob("*") if not path.is_dir()]
    assert left == [settings]


def test_lock_files_hold_what_the_project_needs() -> None:
    """Each dependency is locked, at a version that it allows, with hashes for its files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {"logd": [item for item in project["dependencies"] if "logd-client" not in item]}
    needed |= {name: extras[name] for name in ("postgresql", "mysql")}
    for name, items in needed.items():
        text = (ROOT / f"systemd/locked/{name}.txt").read_text("utf-8")
        locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
        assert len(re.findall("--hash=sha256:[0-9a-f]{64}", text)) >= len(locked)
        for item in items:
            package, low = re.match(r"([\w.-]+)[^>]*>=([\w.]+)", item).groups()
            numbers = [int(part) for part in locked[package.lower().replace(".", "-")].split(".")]
            assert numbers >= [int(part) for part in low.split(".")], package


def test_make_serve_runs_a_daemon_from_nothing(index: None, checkout: Path, tmp_path: Path) -> None:
    """`make serve` in a fresh clone makes the environment and runs a daemon that takes records."""
    logs = tmp_path / "logs"
    make = ("make", "serve", "PORT=0", f"LOGS={logs}", f"PYTHON={sys.executable}")
    with daemon(*make, cwd=checkout) as address:
        send_and_find(checkout / ".venv/bin/logd", address, logs / "logd_0.log")


def test_make_names_its_targets() -> None:
    """`make` alone lists every target that is meant for people."""
    listed = run("make", cwd=ROOT).stdout
    for target in ("serve", "test", "lint", "types", "bench", "bench-quick", "fuzz", "chaos"):
        assert re.search(rf"^  {target} +\S", listed, re.MULTILINE), target


def test_too_old_python_gets_one_line(tmp_path: Path) -> None:
    """A Python that is too old is named in one clear line."""
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "serve", f"PYTHON={old}", f"VENV={tmp_path}/env"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    first, make_itself = done.stderr.strip().splitlines()
    assert first.startswith("logd needs Python 3.11 or later, found Python 3.9.2.")
    assert make_itself.startswith("make: ***")

"""Both distributions build, install into an empty environment and work from there."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import logd
import logd_client
from tests.packages.building import (
    ENVIRONMENT,
    ROOT,
    UNWANTED,
    build,
    daemon,
    run,
    send_and_find,
)


def project(path: str) -> dict[str, Any]:
    """The [project] table of a pyproject.toml."""
    data: dict[str, Any] = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))
    return dict(data["project"])


@pytest.fixture(scope="module")
def wheels(index: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the wheels of both distributions."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (checkout / "client", checkout):
        build("wheel", source, folder, index)
    return folder


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


def test_source_distributions_build_themselves(index: Path, checkout: Path, tmp_path: Path) -> None:
    """Unpacked, both hold what packagers need, and build the same archive once more."""
    shutil.copytree(ROOT / "tests", checkout / "tests", ignore=UNWANTED, dirs_exist_ok=True)
    needed = {
        "logd": {
            "Makefile",
            "CHANGELOG.md",
            "LICENSE",
            "systemd/logd@.service",
            "packages/deb/postinst",
            "packages/Containerfile",
            "tests/conftest.py",
            "client/pyproject.toml",
            "systemd/locked/logd.txt",
            "logd/web/README.md",
        },
        "logd_client": {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"},
    }
    for name, source in (("logd", checkout), ("logd_client", checkout / "client")):
        lists = []
        for turn in ("first", "second"):
            folder = tmp_path / name / turn
            folder.parent.mkdir(exist_ok=True)
            build("sdist", source, folder, index)
            (archive,) = folder.glob("*.tar.gz")
            shutil.unpack_archive(archive, folder, filter="data")
            (source,) = (path for path in folder.iterdir() if path.is_dir())
            files = (path for path in source.rglob("*") if path.is_file())
            lists.append({str(path.relative_to(source)) for path in files})
        assert needed[name] <= lists[0]
        assert not [path for path in lists[0] if path.endswith((".pyc", ".so"))]
        assert lists[0] == lists[1]


def test_builds_of_one_commit_are_the_same(index: Path, checkout: Path, tmp_path: Path) -> None:
    """What `make dist` packs once more is the same of two clones, with other times and rights."""
    packed = []
    for name, rights in (("one", 0o600), ("another", 0o664)):
        source = tmp_path / name / "client"
        shutil.copytree(checkout / "client", source, copy_function=shutil.copyfile)
        for path in source.rglob("*.py"):
            path.chmod(rights)
        build("sdist", source, tmp_path / name / "dist", index)
        (archive,) = (tmp_path / name / "dist").glob("*.tar.gz")
        run(sys.executable, ROOT / "packages/repack.py", archive, cwd=tmp_path)
        packed.append(archive.read_bytes())
    assert packed[0] == packed[1]


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


def test_make_serve_runs_a_daemon_from_nothing(index: Path, checkout: Path, tmp_path: Path) -> None:
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

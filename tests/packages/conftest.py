"""What is built once for several tests of packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages.building import ENVIRONMENT, PATIENCE_S, ROOT, UNWANTED


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package index in reach, for fresh environments; a folder with what builds both projects."""
    folder = tmp_path_factory.mktemp("index")
    command = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", ".")
    done = subprocess.run(
        [*command, "setuptools>=77"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no package index in reach: {done.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, as a clone has them: nothing built, no environment."""
    folder = tmp_path_factory.mktemp("checkout") / "logd"
    folder.mkdir()
    for name in ("logd", "client", "systemd", "packages", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=UNWANTED)
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "Makefile",
        "CHANGELOG.md",
        "MANIFEST.in",
    ):
        shutil.copy(ROOT / name, folder)
    return folder

"""Runs the tests on every Python that the machine has: `make test-pythons`, and a part in CI.

For each version an environment of its own is kept in `.venv-pythons/VERSION`. A version that the
project supports and the machine lacks is named in the table at the end; it is no failure.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".venv-pythons"
STAMP = "installed"

DAEMON_FROM = (3, 11)
VERSIONS = ((3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14))
"""Those that the two packages name in their classifiers."""

MAX_UNSTABLE = 3
"""More failures than these are no chance."""

CLIENT_TESTS = ("client/tests",)
PART = (
    "client/tests",
    "tests/wire",
    "tests/records",
    "tests/text",
    "tests/query",
    "tests/contrib",
    "tests/daemon/test_control.py",
    "tests/daemon/test_senders.py",
    "tests/daemon/test_stop.py",
    "tests/cli/test_serve.py",
)
"""What differs by version: pickles, the client, reading, logging's handlers, sockets of the loop,
the end of processes, and runs of the real daemon."""

# Another environment's settings must not reach the one that is made.
_FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYENV_VERSION")


class Result(NamedTuple):
    """How the tests went on one version; `summary` is the last line of pytest, or what is wrong."""

    version: str
    is_good: bool
    seconds: float
    summary: str


def text_of(version: tuple[int, int]) -> str:
    """The version as people write it."""
    return f"{version[0]}.{version[1]}"


def _candidates(version: tuple[int, int]) -> Iterator[str]:
    """Where an interpreter of the version may be, the likeliest first."""
    if sys.version_info[:2] == version:
        yield sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from sorted(map(str, pyenv.glob(f"{text_of(version)}.*/bin/python")), reverse=True)
    found = shutil.which(f"python{text_of(version)}")
    if found is not None:
        yield found


def find_python(version: tuple[int, int]) -> str | None:
    """A working interpreter of the version; None if the machine has none."""
    for path in _candidates(version):
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        match = re.match(r"Python ([0-9]+)\.([0-9]+)", shown.stdout)
        if match is not None and (int(match[1]), int(match[2])) == version:
            return path
    return None


def _environment(version: tuple[int, int], python: str) -> Path:
    """The version's environment with the packages and what their tests need; its interpreter."""
    folder = ENVIRONMENTS / text_of(version)
    interpreter, stamp = folder / "bin" / "python", folder / STAMP
    projects = [ROOT / "pyproject.toml", ROOT / "client" / "pyproject.toml"]
    if stamp.exists() and all(p.stat().st_mtime < stamp.stat().st_mtime for p in projects):
        return interpreter
    variables = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True, env=variables)
    packages = ["-e", "client"]
    if version >= DAEMON_FROM:
        packages += ["-e", ".[dev,test,postgresql,mysql,web]"]
    else:
        # A test of the client asks the type checker.
        packages += [
            "mypy>=1.13",
            "pytest>=8.3",
            "pytest-asyncio>=1.0",
            "pytest-xdist>=3.6",
            "hypothesis>=6.120",
        ]
        packages += ["trustme>=1.2", "numpy", "structlog>=24.1", "loguru>=0.7"]
    subprocess.run(
        [str(interpreter), "-m", "pip", "--disable-pip-version-check", "install", "-q", *packages],
        check=True,
        cwd=ROOT,
        env=variables,
    )
    stamp.touch()
    return interpreter


def run_on(version: tuple[int, int], targets: tuple[str, ...], workers: int) -> Result:
    """Run the targets on one version; what pytest says goes to the terminal as it comes."""
    python = find_python(version)
    if python is None:
        return Result(text_of(version), True, 0.0, "not tested: this machine does not have it")
    started = time.monotonic()
    try:
        interpreter = _environment(version, python)
    except (subprocess.CalledProcessError, OSError) as exc:
        return Result(text_of(version), False, time.monotonic() - started, f"no environment: {exc}")
    print(f"\n== Python {text_of(version)}: {' '.join(targets) or 'all tests'}", flush=True)
    cache = ENVIRONMENTS / text_of(version) / "cache"
    base = [str(interpreter), "-m", "pytest", "-q", "-o", f"cache_dir={cache}"]
    command = [*base, "--numprocesses", str(workers), "--dist", "worksteal", *targets]
    # Its own environment first on the PATH: tests start `logd` by name.
    path = f"{interpreter.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    variables = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    variables["PATH"] = path
    is_good, failed, last = _pytest(command, variables)
    if 1 <= failed <= MAX_UNSTABLE:
        # As CI does: of many tests with real processes one may fail because others ran beside it.
        print("\n== What failed, once more and alone", flush=True)
        is_good, _, again = _pytest([*base, "--last-failed", *targets], variables)
        last = f"{last}; alone: {again}"
    return Result(text_of(version), is_good, time.monotonic() - started, last)


def _pytest(command: list[str], variables: dict[str, str]) -> tuple[bool, int, str]:
    """Run pytest; whether all is well, how many tests failed, its last line."""
    run = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    failed, last = 0, "no test was run"
    for line in run.stdout:
        print(line, end="", flush=True)
        failed += line.startswith(("FAILED ", "ERROR "))
        if re.search(r"\b(passed|failed|error)", line):
            last = line.strip(" =\n")
    return run.wait() == 0, failed, last


def main() -> int:
    """Test on all versions that are asked for; 1 if a version has failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="store_true", help="only what differs by version")
    parser.add_argument("--but", default="", help="a version to leave out: 3.11")
    parser.add_argument("--only", default="", help="the only version to test: 3.13")
    parser.add_argument("--workers", type=int, default=(os.cpu_count() or 1) + 1)
    options = parser.parse_args()
    results = []
    for version in VERSIONS:
        if text_of(version) != options.but and text_of(version).startswith(options.only):
            targets = PART if options.part else ()
            targets = targets if version >= DAEMON_FROM else CLIENT_TESTS
            results.append(run_on(version, targets, options.workers))
    print("\n== All versions")
    for result in results:
        mark = "ok    " if result.is_good else "FAILED"
        print(f"{result.version:5} {mark} {result.seconds:6.0f} s  {result.summary}")
    return int(not all(result.is_good for result in results))


if __name__ == "__main__":
    sys.exit(main())

"""Peers from Debian packages, unpacked into a cache folder where installing them is not possible.

Two syslog daemons can't be installed side by side, and a benchmark should not change the machine.
So the packages, with those libraries that the machine lacks, are downloaded by `apt-get` and
unpacked by `dpkg`; what is installed already is used where it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

_LIBRARIES = f"usr/lib/{sysconfig.get_config_var('MULTIARCH')}"


class PeerMissing(Exception):
    """The peer can't be had on this machine; the text says why."""


def cache_folder() -> Path:
    """Where downloads of the benchmarks are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "logd-bench"


def unpacked(*packages: str) -> Path:
    """The folder that holds these packages and what they need, unpacked; downloads at first use.

    Raises:
        PeerMissing: no apt here, or the packages can't be downloaded.
    """
    root = cache_folder() / packages[0]
    if (root / "complete").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    (root / "debs").mkdir(parents=True)
    wanted = sorted({*packages, *_lacking(packages)})
    _run(["apt-get", "--quiet", "download", *wanted], root / "debs")
    for package in sorted((root / "debs").glob("*.deb")):
        _run(["dpkg", "-x", str(package), str(root)], root)
    (root / "complete").touch()
    return root


def environment(root: Path) -> dict[str, str]:
    """The variables with which programs unpacked in `root` find their libraries."""
    # Some packages have not moved to /usr yet; syslog-ng's own folder is compiled in.
    folders = (
        root / _LIBRARIES,
        root / _LIBRARIES.removeprefix("usr/"),
        root / "usr/lib",
        root / "usr/lib/syslog-ng",
    )
    return {"LD_LIBRARY_PATH": ":".join(map(str, folders))}


def libraries(root: Path) -> Path:
    """The folder of the unpacked shared libraries and plugins."""
    return root / _LIBRARIES


def _lacking(packages: tuple[str, ...]) -> list[str]:
    """What an installation would bring along, as apt works it out; nothing is changed."""
    plan = _run(["apt-get", "--simulate", "--no-install-recommends", "install", *packages], None)
    return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def _run(command: list[str], folder: Path | None) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, timeout=120
        )
    except FileNotFoundError as exc:
        raise PeerMissing(f"{command[0]} is not on this machine") from exc
    except subprocess.CalledProcessError as exc:
        raise PeerMissing(f"{' '.join(command[:2])}: {exc.stderr.strip()[-200:]}") from exc
    except subprocess.TimeoutExpired as exc:
        raise PeerMissing(f"{' '.join(command[:2])} took longer than {exc.timeout} s") from exc
    return done.stdout

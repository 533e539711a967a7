"""Writes the lock files of the service's environment anew; `make lock` runs it.

One file holds what logd needs, one more each what an extra adds, so that `make install` installs
no more than was asked for. uv resolves for all platforms and Pythons at once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
EXTRAS = ("postgresql", "mysql", "nats")
HEADER = "# What the service's environment holds, each file with its hash. Made by: make lock\n"


def main() -> None:
    """Resolve and write."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    needed = [item for item in project["dependencies"] if not item.startswith("logd-client")]
    base = _resolved(needed)
    _write("logd", base)
    for extra in EXTRAS:
        both = _resolved([*needed, *project["optional-dependencies"][extra]], base)
        _write(extra, {name: text for name, text in both.items() if name not in base})


def _resolved(needed: list[str], known: dict[str, str] | None = None) -> dict[str, str]:
    """Name of each distribution -> its lines in a lock file."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, held = Path(folder, "wanted.in"), Path(folder, "held.txt")
        wanted.write_text("\n".join(needed) + "\n", "utf-8")
        held.write_text("".join((known or {}).values()), "utf-8")
        options = "--quiet --universal --python-version=3.11 --generate-hashes --no-header"
        command = [sys.executable, "-m", "uv", "pip", "compile", *options.split()]
        command += ["--no-annotate", "--no-emit-index-url", "--constraint", str(held), str(wanted)]
        text = subprocess.run(  # noqa: S603 - the command is all ours
            command, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            name = line.partition("==")[0]
        found[name] = found.get(name, "") + line
    return found


def _write(name: str, found: dict[str, str]) -> None:
    (HERE / f"{name}.txt").write_text(HEADER + "".join(found.values()), "utf-8")


if __name__ == "__main__":
    main()

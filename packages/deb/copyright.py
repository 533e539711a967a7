"""Writes Debian's copyright file: logd's licence, and those of the packages in its environment.

Arguments: the file with logd's licence, and the folder of the installed packages, whose metadata
say how each is licensed and hold the texts.
"""

from __future__ import annotations

import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path

_OWN = ("logd", "logd-client")


def main() -> int:
    """Print the file."""
    licence, folder = Path(sys.argv[1]), Path(sys.argv[2])
    print("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/")
    print("Upstream-Name: logd\nSource: https://pypi.org/project/logd/\n")
    text = licence.read_text("utf-8")
    holders = [line for line in text.splitlines() if line.startswith("Copyright")]
    print("Files: *")
    print(f"Copyright: {holders[0].removeprefix('Copyright').replace('(c)', '').strip()}")
    print("License: MIT")
    _print_folded(text)
    for info in sorted(folder.glob("*.dist-info")):
        metadata = Parser().parsestr((info / "METADATA").read_text("utf-8"), headersonly=True)
        if metadata["Name"] in _OWN:
            continue
        texts = [
            path
            for path in sorted(info.rglob("*"))
            if path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
        ]
        where = [f"usr/lib/logd/lib/{path.relative_to(folder.parent.parent)}" for path in texts]
        print(f"\nFiles: {' '.join(_places(info))}")
        print(f"Copyright: the authors of {metadata['Name']} {metadata['Version']}")
        print(f"License: {_licence(metadata)}")
        _print_folded(
            f"Its text: {', '.join(where)}" if where else f"See {metadata['Home-page'] or 'PyPI'}"
        )
    return 0


def _places(info: Path) -> list[str]:
    """What belongs to a package, with wildcards."""
    lines = (info / "RECORD").read_text("utf-8").splitlines()
    tops = {line.split(",")[0].split("/")[0] for line in lines} - {"..", "__pycache__", ""}
    return [
        f"usr/lib/logd/lib/*/site-packages/{top}{'' if top.endswith('.py') else '/*'}"
        for top in sorted(tops)
    ]


def _licence(metadata: Message) -> str:
    """What a package says its licence is, in few words."""
    said = metadata["License-Expression"] or metadata["License"] or ""
    if not said or "\n" in said or len(said) > 60:
        kinds = [
            kind.rpartition(" :: ")[2]
            for kind in metadata.get_all("Classifier", [])
            if kind.startswith("License")
        ]
        said = kinds[0] if kinds else "see its text"
    return str(said).removesuffix(" License").replace(" ", "-")


def _print_folded(text: str) -> None:
    for line in text.splitlines():
        print(f" {line}" if line.strip() else " .")


if __name__ == "__main__":
    sys.exit(main())

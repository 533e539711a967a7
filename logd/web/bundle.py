"""The page's modules as one file, so that a browser asks once and not in turn for each.

They are written so that this takes no tool: one line for each import, names only, no circles, and
what is exported says so where it is defined. Each module becomes a function that is called once
and gives what it exports; the first one, which may await, stays as it is. Lines that are comments
are left out: they are a fifth of what a browser would load. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_IMPORT = re.compile(
    r'^import \{ (?P<names>[\w, ]+) \} from "\./(?P<module>\w+)\.js";$', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:const|class|(?:async )?function) (?P<name>\w+))", re.MULTILINE)
_AGAIN = re.compile(r"^export \{[\w, ]+\};$", re.MULTILINE)


def bundled(modules: Mapping[str, str], first: str) -> str:
    """One script of all that `first` needs, itself included.

    Args:
        modules: texts by name, without ".js".
        first: the one that the page begins with.
    """
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        text = modules[name]
        for match in _IMPORT.finditer(text):
            if match["module"] not in parts:
                add(match["module"])
        names = [match["name"] for match in _EXPORT.finditer(text)]
        text = _IMPORT.sub(r"const { \g<names> } = $\g<module>;", text)
        text = _without_comments(_AGAIN.sub("", _EXPORT.sub("", text)))
        if name != first:
            given = ", ".join(names)
            text = f"const ${name} = (() => {{\n{text}\nreturn {{ {given} }};\n}})();\n"
        parts[name] = text

    add(first)
    return "\n".join(parts.values())


def _without_comments(text: str) -> str:
    """A module without the lines that hold comments only; what stands beside code stays."""
    kept = []
    is_inside = False
    for line in text.split("\n"):
        bare = line.strip()
        if is_inside:
            is_inside = not bare.endswith("*/")
        elif bare.startswith("/**") and "*/" not in bare:
            is_inside = True
        elif (
            bare
            and not bare.startswith("//")
            and not (bare.startswith("/**") and bare.index("*/") == len(bare) - 2)
        ):
            kept.append(line)
    return "\n".join(kept)

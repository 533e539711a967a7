"""One word for one thing: no two classes of the packages that others may use share a name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The same thing on both sides, or a documented name of the reference.
ALLOWED = {
    "Backoff": "pauses between tries, of an output and of a client",
    "Context": "what the records of one place have in common, as clients send it and logd keeps it",
    "LogServerProxy": "documented twice: for sockets and for XML-RPC",
}


def test_a_class_name_means_one_thing() -> None:
    """Classes whose names begin without an underscore have names of their own."""
    places = defaultdict(list)
    for folder in (ROOT / "logd", ROOT / "client" / "logd_client"):
        for path in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path.relative_to(ROOT)))
    shared = {name: found for name, found in places.items() if len(found) > 1}
    assert shared.keys() == ALLOWED.keys(), shared


STUMBLES = re.compile(
    r"\b(?:till|whilst|whoever|so many|so much (?:of|may)|for so long|after so long)\b",
    re.IGNORECASE,
)
"""What readers stumbled over: "until", "at most 20" or "this long" are meant."""


def test_texts_have_no_word_that_readers_stumble_over() -> None:
    """Code, comments and READMEs say plainly how many, how long and until when."""
    code = (ROOT / folder for folder in ("logd", "client/logd_client"))
    pages = (ROOT.glob(pattern) for pattern in ("README.md", "[!.]*/README.md", "logd/*/README.md"))
    files = [path for folder in code for path in folder.rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(files + [path for some in pages for path in some])
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if STUMBLES.search(line)
    ]
    assert not found, "\n".join(found)

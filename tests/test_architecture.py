"""The house: who may import whom, by the imports in the sources. Type hints and late ones count."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"logd": ROOT / "logd", "logd_client": ROOT / "client" / "logd_client"}

# Floors of the house, lowest first. A module imports from floors below its own, or from its room.
FLOORS = [
    {"errors", "lazily"},
    {"records"},
    {"text", "rotation"},
    {"appending", "textwriter", "wire", "settings", "server"},
    {"filters", "observers", "filewriter", "printwriter", "outputs", "xmlrpc"},
    {"dbwriter_sa", "query", "contrib", "engine"},
    {"daemon"},
    {"socketserver"},
    {"web"},
    {"cli"},
    {"__main__", "__init__"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# A library -> the only rooms that may import it.
LIBRARIES = {
    "asyncio": {"daemon", "engine", "socketserver", "web"},
    "nats": {"engine"},
    "uvloop": {"daemon"},
    "click": {"cli"},
    "sqlalchemy": {"outputs.tables", "query.tables", "dbwriter_sa"},
}


def _sources() -> dict[str, ast.Module]:
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


SOURCES = _sources()
MODULES = {name.removesuffix(".__init__"): name for name in SOURCES}


def _imported(tree: ast.Module) -> set[str]:
    """Dotted names of all that is imported, the names in a package as far as they are modules."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                found.add(deeper if deeper in MODULES else node.module)
    return found


GRAPH = {
    name: {MODULES[used] for used in _imported(tree) if used in MODULES} - {name}
    for name, tree in SOURCES.items()
}


def _room(module: str) -> str:
    return module.split(".")[1]


def test_no_module_needs_itself() -> None:
    """There is no circle of imports."""
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as exc:
        pytest.fail(f"a circle of imports: {' <- '.join(exc.args[1])}")


def test_each_room_has_a_floor() -> None:
    """A new package or module at the top says which floor it stands on."""
    assert {_room(module) for module in SOURCES if module.startswith("logd.")} == set(FLOOR_OF)


def test_imports_point_down() -> None:
    """A module imports only from floors below its own, and from its own room."""
    wrong = [
        f"{module} imports {used}"
        for module, imports in GRAPH.items()
        for used in imports
        if module.startswith("logd.")
        and used.startswith("logd.")
        and used != "logd.__init__"
        and _room(module) != _room(used)
        and FLOOR_OF[_room(used)] >= FLOOR_OF[_room(module)]
    ]
    assert not wrong


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_stay_in_their_rooms(library: str) -> None:
    """In the daemon's package a library is imported only in the rooms made for it."""
    users = {
        module
        for module, tree in SOURCES.items()
        if module.startswith("logd.")
        and any(name.split(".")[0] == library for name in _imported(tree))
    }
    rooms = tuple(f"logd.{room}" for room in LIBRARIES[library])
    assert users
    strangers = {user for user in users if not f"{user}.".startswith(tuple(f"{r}." for r in rooms))}
    assert not strangers


def test_client_stands_alone() -> None:
    """The client imports the standard library and itself; what only type checkers read as well."""
    allowed = {*sys.stdlib_module_names, "logd_client", "typing_extensions"}
    foreign = {
        f"{module} imports {name}"
        for module, tree in SOURCES.items()
        if module.startswith("logd_client.")
        for name in _imported(tree)
        if name.split(".")[0] not in allowed
    }
    assert not foreign


def test_every_module_is_reached() -> None:
    """Each module is imported by another one, is a documented name, or is loaded by its name."""
    importers = defaultdict(set)
    for module, imports in GRAPH.items():
        for used in imports:
            importers[used].add(module)
    doors = {
        "logd.__init__",
        "logd.__main__",
        "logd_client.__init__",
        # Documented places of the API.
        *(f"logd.{name}" for name in ("dbwriter_sa", "filewriter", "printwriter", "xmlrpc")),
        "logd.socketserver",
        "logd.contrib.mail",
        # Started as a process of its own.
        "logd.web.worker",
        # An entry point of the package.
        "logd.engine.entry",
        "logd.contrib.richlog",
        "logd.contrib.stackindent",
        "logd.filters.__init__",
        "logd.observers.__init__",
    }
    packages = {name for name in SOURCES if name.endswith(".__init__")}
    unreached = set(SOURCES) - set(importers) - doors - packages
    # A command is imported when it is called: `logd.cli.commands` names its module.
    unreached = {module for module in unreached if not module.startswith("logd.cli.")}
    assert not unreached


def test_the_map_of_the_daemon_is_true() -> None:
    """Each module that the text of the daemon's package names is there, once."""
    text = ast.get_docstring(SOURCES["logd.daemon.__init__"]) or ""
    named = re.findall(r"^    (\w+) ", text, re.MULTILINE)
    there = {module.rpartition(".")[2] for module in SOURCES if module.startswith("logd.daemon.")}
    assert len(named) == len(set(named))
    assert set(named) <= there

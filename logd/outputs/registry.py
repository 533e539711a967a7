"""Outputs by name: those of logd and those that other packages bring.

A package registers a callable `(address: str, settings: OutputSettings) -> Output` in its
metadata; `--output NAME:ADDRESS` finds it here:

    [project.entry-points."logd.writers"]
    kafka = "logd_kafka:make_output"

Nothing of a package is imported before its output is asked for, and the metadata of all packages
is not read for an output of logd's own: that would be a tenth of the time it takes to start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from logd.errors import nearest
from logd.outputs.base import Output, OutputSettings, OutputUnusable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

MASK = "***"

GROUP = "logd.writers"
"""The entry points' group."""

OutputFactory = Callable[[str, OutputSettings], Output]


def file_output(address: str, settings: OutputSettings) -> Output:
    """Rotating text files; the address is their pattern, "logs/app_%d.log"."""
    from logd.outputs.files.output import FileOutput

    return FileOutput(address, settings)


def db_output(address: str, settings: OutputSettings) -> Output:
    """Rotating tables of a database; the address is an SQLAlchemy URL."""
    from logd.outputs.tables.output import TableOutput

    return TableOutput(address, settings)


def stdout_output(address: str, settings: OutputSettings) -> Output:
    """Standard output; the address is "-".

    Raises:
        OutputUnusable: another address.
    """
    from logd.outputs.stdout import StdoutOutput

    if address != "-":
        raise OutputUnusable(f'stdout: expected the address "-", got {address!r}')
    return StdoutOutput(settings)


BUILT_IN = {"db": db_output, "file": file_output, "stdout": stdout_output}
"""What makes them, by the names they have in `--output NAME:ADDRESS`."""


def create(
    spec: str, settings: OutputSettings, found: Iterable[EntryPoint] | None = None
) -> Output:
    """The output that "NAME:ADDRESS" names, not yet opened.

    Args:
        spec: the name, and what its package calls an address; it may hold colons itself.
        settings: what the output needs besides.
        found: the entry points to choose from; those of the installed packages if None.

    Raises:
        OutputUnusable: no package or several have the name, or the package can't be loaded.
    """
    name, colon, address = spec.partition(":")
    if not (name and colon):
        raise OutputUnusable(f'output {spec!r}: expected "name:address"')
    return resolve(name, found)(address, settings)


def shown(spec: str) -> str:
    """What can be shown of "NAME:ADDRESS": no passwords, no values of parameters.

    logd's own addresses are known; those of other packages are shown as URLs are if they look like
    one, else without what stands before an "@" or behind a "?".
    """
    name, _, address = spec.partition(":")
    if name in ("file", "stdout"):
        return spec
    if "://" in address and "," in address.partition("?")[0]:
        return f"{name}:{_shown_servers(address)}"
    if "://" in address or name == "db":
        from logd.outputs.tables.addresses import shown_url

        return f"{name}:{shown_url(address)}"
    login, at, rest = address.rpartition("@")
    rest, mark, _ = rest.partition("?")
    return f"{name}:{MASK if login else ''}{at}{rest}{mark and mark + MASK}"


def _shown_servers(address: str) -> str:
    """What can be shown of a URL with several servers."""
    scheme, _, rest = address.partition("://")
    login, at, rest = rest.rpartition("@")
    servers, _, query = rest.partition("?")
    if not re.fullmatch(r"[\w.:,\[\]/-]+", servers):
        return f"{scheme}://{MASK}"
    names = "&".join(f"{option.partition('=')[0]}={MASK}" for option in query.split("&") if option)
    return f"{scheme}://{MASK if login else ''}{at}{servers}{'?' if names else ''}{names}"


def resolve(name: str, found: Iterable[EntryPoint] | None = None) -> OutputFactory:
    """What makes outputs of this name; logd's own names mean logd's own outputs.

    Raises:
        OutputUnusable: no package or several have the name, or the package can't be loaded.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    factory: OutputFactory = brought("output", name, GROUP, BUILT_IN, found)
    return factory


def brought(
    kind: str,
    name: str,
    group: str,
    others: Iterable[str] = (),
    found: Iterable[EntryPoint] | None = None,
) -> Callable[..., Any]:
    """What a package has registered by this name.

    Args:
        kind: what it makes, for people.
        name: which one is wanted.
        group: the entry points' group.
        others: names that are there besides, for people.
        found: the entry points to choose from; those of the installed packages if None.

    Raises:
        OutputUnusable: no package or several have the name, or the package can't be loaded.
    """
    known = list(_registered(group) if found is None else found)
    # A package that is seen twice (editable and built) registers the same thing; that is no clash.
    matches = list({point.value: point for point in known if point.name == name}.values())
    if not matches:
        names = sorted({*others, *(point.name for point in known)})
        raise OutputUnusable(_unknown(kind, name, names))
    if len(matches) > 1:
        owners = " and ".join(sorted(f"{_owner(point)} ({point.value})" for point in matches))
        raise OutputUnusable(f"{kind} {name!r} is brought by {owners}: uninstall all but one")
    point = matches[0]
    try:
        factory = point.load()
    except (ImportError, AttributeError) as exc:
        raise OutputUnusable(
            f"{kind} {name!r}: can't load {point.value} of {_owner(point)}: {exc}"
        ) from exc
    if not callable(factory):
        raise OutputUnusable(
            f"{kind} {name!r}: {point.value} of {_owner(point)} can't be called, it is of type "
            f"{type(factory).__name__}"
        )
    found_factory: Callable[..., Any] = factory
    return found_factory


def _registered(group: str) -> Iterable[EntryPoint]:
    """What the installed packages registered."""
    from importlib.metadata import entry_points

    return entry_points(group=group)


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"


def _unknown(kind: str, name: str, names: list[str]) -> str:
    meant = nearest(name, names)
    hint = f" (did you mean {meant!r}?)" if meant is not None else ""
    return f"{kind} {name!r} is not installed{hint}; there are: {', '.join(names)}"

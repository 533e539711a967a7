"""Checks settings as a start would, by building what needs no disk and no network.

The rules of an output, a filter or an observer stand where it is made. There is no copy of them
here: what can be built is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from logd.daemon.assembly import check_alone, make_server
from logd.daemon.outputmaker import OutputMaker
from logd.daemon.plugins import Callables, end_callables, load
from logd.daemon.wanted import Chosen, wanted_outputs
from logd.errors import StartupError
from logd.outputs.base import Output
from logd.outputs.deadletters import DeadLetterFile
from logd.outputs.fanout import Outputs
from logd.settings.table import Config

_CLOSE_S = 5.0

# Columns and names of tables are checked, too, if there is no database yet.
_ANY_DATABASE = "db:sqlite:///logd.db"


def faults(config: Config) -> list[str]:
    """What a start with these settings would refuse, a line each; empty if it would not.

    Not looked at: whether files, folders, certificates and databases are there.
    """
    found: list[str] = []

    @contextmanager
    def noted() -> Iterator[None]:
        try:
            yield
        except StartupError as exc:
            found.append(str(exc))

    filters: Callables = {}
    observers: Callables = {}
    try:
        for loaded, specs, kind in (
            (filters, config.filter, "filter"),
            (observers, config.observer, "observer"),
        ):
            for spec in specs:
                with noted():
                    loaded |= load([spec], kind)
        with noted():
            make_server(config, Outputs([]), filters, observers)
        with noted():
            if config.source is not None:
                from logd.daemon.store import made_outputs, make_source

                source = make_source(config)
                made_outputs(config, source.partitions[:1], _maker(config))
                return list(dict.fromkeys(found))
            made, wanted = [], wanted_outputs(config)
            for spec, chosen in wanted.items():
                with noted():
                    made.append((spec, _output(spec, chosen)))
            check_alone(made, wanted)
        if not any(section.place == "db" for section, _ in config.each_output()):
            with noted():
                _tables(config)
    finally:
        end_callables([*filters.values(), *observers.values()], _CLOSE_S)
    # What several outputs have in common, such as line_format, is said once.
    return list(dict.fromkeys(found))


def _output(spec: str, chosen: Chosen) -> Output:
    return _maker(chosen.config).output(spec, chosen)


def _maker(config: Config) -> OutputMaker:
    state = config.state_folder
    return OutputMaker(state, DeadLetterFile(state / "unused"), _ignore, _ignore)


def _tables(config: Config) -> None:
    try:
        _output(_ANY_DATABASE, Chosen(replace(config, line_format=None)))
    except StartupError as exc:
        raise StartupError(f"table_pattern, columns: {exc.__cause__ or exc}") from exc


def _ignore(*_: object) -> None:
    """Nothing is opened, so there is nothing to tell."""

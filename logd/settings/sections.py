"""`[[outputs]]` of a settings file: outputs with a choice of records and settings of their own.

    [[outputs]]
    file = "errors.log"
    select = "cat:E,C"
    rotate_count = 30

Each names one place to write to, as the settings `file`, `db`, `stdout` and `output` do, and may
have `select` and any of the settings that concern one output. What it does not say is as for all
outputs. Pure: values in, sections and sentences out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from logd.errors import nearest
from logd.settings.kinds import Kind, Many, Optional, Text
from logd.settings.secrets import Secret, reveal

KEY = "outputs"
"""What they are called in a settings file."""

SELECT = "select"

PLACES = ("file", "db", "stdout", "output")
"""The settings that name a place to write to."""

_SELECT = Optional(Text("SELECTION"))


class SettingShape(Protocol):
    """What is to be known of a setting: its kind, whether its values may hold secrets, and whether
    each output may have a value of its own.
    """

    @property
    def kind(self) -> Kind[Any]: ...

    @property
    def hides(self) -> bool: ...

    @property
    def of_output(self) -> bool: ...


@dataclass(frozen=True)
class OutputSection:
    """One of them.

    Attributes:
        place: which of `PLACES` it names.
        address: the value of that; "-" for standard output.
        select: which records it gets, as `logd query` takes a selection; None for all.
        own: the settings it has for itself, by name.
    """

    place: str
    address: str
    select: str | None = None
    own: tuple[tuple[str, Any], ...] = ()

    @property
    def spec(self) -> str:
        """The output as "NAME:ADDRESS"; it may hold a password."""
        address = reveal(self.address)
        return address if self.place == "output" else f"{self.place}:{address}"


class FoundSections(NamedTuple):
    """What a settings file has of them: the sections, and what is wrong, a line each."""

    sections: tuple[OutputSection, ...]
    problems: tuple[str, ...]


def read_sections(
    value: object, settings: Mapping[str, SettingShape], folder: Path
) -> FoundSections:
    """The sections of the value that TOML has for the key `outputs`, in a file in `folder`."""
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        return FoundSections((), (f'{KEY}: expected tables, each headed by "[[{KEY}]]"',))
    sections: list[OutputSection] = []
    problems: list[str] = []
    for number, table in enumerate(value, 1):
        wrong: list[str] = []
        section = _section(table, settings, folder, wrong)
        problems += (f"{KEY}, table {number}: {text}" for text in wrong)
        if section is not None and not wrong:
            sections.append(section)
    return FoundSections(tuple(sections), tuple(problems))


def _section(
    table: Mapping[str, object],
    settings: Mapping[str, SettingShape],
    folder: Path,
    wrong: list[str],
) -> OutputSection | None:
    values: dict[str, Any] = {}
    for name, value in table.items():
        try:
            values[name] = _value(name, value, settings, folder)
        except ValueError as exc:
            wrong.append(f"{name}: {exc}")
    places = [name for name in PLACES if name in table]
    if len(places) != 1:
        named = " and ".join(places) or "none of them"
        wrong.append(f"names one of {', '.join(PLACES)}; got {named}")
        return None
    (place,) = places
    if place not in values:
        return None
    if values[place] is False:
        wrong.append("stdout: expected true; a table names an output")
    own = tuple(
        (name, values[name]) for name in settings if settings[name].of_output and name in values
    )
    address = "-" if place == "stdout" else values[place]
    return OutputSection(place, address, values.get(SELECT), own)


def _value(name: str, value: object, settings: Mapping[str, SettingShape], folder: Path) -> Any:
    """The value of one key.

    Raises:
        ValueError: there is no such key, or its value is wrong; says what is expected.
    """
    if name == SELECT:
        return _of_kind(_SELECT, value)
    if name not in PLACES and not (name in settings and settings[name].of_output):
        own = (known for known, setting in settings.items() if setting.of_output)
        meant = nearest(name, (*PLACES, SELECT, *own))
        hint = f'; did you mean "{meant}"?' if meant is not None else ""
        why = "is no setting of one output" if name in settings else "unknown key"
        raise ValueError(why + hint)
    kind = settings[name].kind
    if name in PLACES and isinstance(kind, Many):
        kind = kind.kind
    return kind.based(_of_kind(kind, value, hides=settings[name].hides), folder)


def _of_kind(kind: Kind[Any], value: object, *, hides: bool = False) -> Any:
    try:
        return kind.from_toml(value)
    except ValueError:
        got = "another" if hides else repr(value)[:80]
        raise ValueError(f"expected {kind.expected}; got {got}") from None


def as_toml(
    sections: Sequence[OutputSection], settings: Mapping[str, SettingShape], shown: Any
) -> list[str]:
    """The sections as lines of a settings file.

    Args:
        sections: what to write.
        settings: all settings by name.
        shown: called with the name of a setting and a secret of its; what to show of that.
    """
    lines: list[str] = []
    for section in sections:
        address = section.address
        if isinstance(address, Secret):
            address = shown(section.place, address)
        place = "true" if section.place == "stdout" else Text().to_toml(address)
        lines += ["", f"[[{KEY}]]", f"{section.place} = {place}"]
        if section.select is not None:
            lines.append(f"{SELECT} = {Text().to_toml(section.select)}")
        lines += [f"{name} = {settings[name].kind.to_toml(value)}" for name, value in section.own]
    return lines

"""All settings of the daemon: one table that everything else about settings follows from.

Each field of `Config` is one setting: its name, type, default, kind of value, help and whether a
reload can change it stand in one place, in `recordtable.py`, `servicetable.py` or `webtable.py`.
Command-line options (`--rotate-count`), environment variables (`LOGD_ROTATE_COUNT`), keys of the
TOML file (`rotate_count`), `logd config` and the README's table are made from it. Where values come
from is `loading.py`'s concern, which of them fit together `checks.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from logd.settings.kinds import Kind
from logd.settings.recordtable import DEFAULT_FILE, RecordSettings
from logd.settings.sections import OutputSection
from logd.settings.servicetable import ServiceSettings
from logd.settings.sources import Sources
from logd.settings.webtable import WebSettings

READABLE_FORMATS = (None, "json", "logfmt")
"""Values of `line_format` whose lines can be read back; others are texts of the user's own."""


@dataclass(frozen=True, kw_only=True)
class Config(WebSettings, ServiceSettings, RecordSettings):
    """The settings in force; complete and checked, whatever they came from.

    Attributes that are no settings:
        outputs: outputs with a choice of records or settings of their own, as a settings file has
            them under `[[outputs]]`.
        token: the shared token itself, from `token_file` or the environment; None without one.
        sources: where the values came from, to read them anew at a reload; None if a program
            made this object itself.
    """

    outputs: tuple[OutputSection, ...] = field(default=(), repr=False)
    token: str | None = field(default=None, repr=False)
    sources: Sources | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.file or self.db or self.stdout or self.output or self.outputs):
            object.__setattr__(self, "file", (DEFAULT_FILE,))

    @property
    def state_folder(self) -> Path:
        """Where dead letters and queues go: `state_dir`, or its default if not set."""
        if self.state_dir is not None:
            return Path(self.state_dir)
        files = [*self.file, *(s.address for s in self.outputs if s.place == "file")]
        folder = Path(files[0]).parent if files else Path()
        # One for all partitions.
        while "%p" in str(folder):
            folder = folder.parent
        return folder / ".logd-state"

    def each_output(self) -> list[tuple[OutputSection, Config]]:
        """All outputs with the settings each is made with; those of the short settings first."""
        plain = [
            *(OutputSection("file", pattern) for pattern in self.file),
            *(OutputSection("db", url) for url in self.db),
            *([OutputSection("stdout", "-")] if self.stdout else []),
            *(OutputSection("output", spec) for spec in self.output),
        ]
        own = [(section, replace(self, **dict(section.own))) for section in self.outputs]
        return [*((section, self) for section in plain), *own]


class Setting(NamedTuple):
    """What is known of one setting.

    Attributes:
        name: as in `Config` and TOML.
        default: its value if nobody sets it.
        kind: how its values are read and written.
        group: heading it stands under in the usage text.
        help: what it does, for people.
        unit: what its number counts; empty if that is plain.
        reloads: a reload (SIGHUP) can change it.
        hides: values may hold passwords, so they are shown without.
        of_output: an output is made with it, and may have a value of its own.
    """

    name: str
    default: object
    kind: Kind[Any]
    group: str
    help: str
    unit: str
    reloads: bool
    hides: bool
    of_output: bool

    @property
    def option(self) -> str:
        """The command line's option."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "LOGD_" + self.name.upper()


SETTINGS: Mapping[str, Setting] = {
    item.name: Setting(item.name, item.default, **item.metadata["setting"])
    for item in fields(Config)
    if "setting" in item.metadata
}
"""Every setting by name, in the order in which people see them."""

OUTPUT_SETTINGS = tuple(name for name, setting in SETTINGS.items() if setting.of_output)
"""Those that an output is made with: if one of them changes, it is opened anew."""

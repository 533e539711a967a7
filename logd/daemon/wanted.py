"""What the settings say of each output: which there are, and what each one is made with.

Nothing is made here. `outputmaker.py` makes outputs of it, a reload compares two of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from logd.errors import StartupError
from logd.outputs import registry
from logd.outputs.base import OutputSettings, OutputUnusable
from logd.outputs.deadletters import DeadLetterFile
from logd.rotation.policy import Retention, RotationPolicy, Schedule
from logd.settings.loading import ConfigError
from logd.settings.table import OUTPUT_SETTINGS, Config
from logd.text.formatter import Formatter
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.logfmtlines import LogfmtFormat

if TYPE_CHECKING:
    from logd.outputs.worker import Choose


def changed(names: Iterable[str], old: Config, new: Config) -> bool:
    """Whether one of the settings differs."""
    return any(getattr(old, name) != getattr(new, name) for name in names)


class Chosen(NamedTuple):
    """What an output is made with.

    Attributes:
        config: the settings as they are for this output.
        select: which records it gets, as text; None for all.
    """

    config: Config
    select: str | None = None

    def is_like(self, other: Chosen) -> bool:
        """Whether an output made with the other would be the same."""
        return self.select == other.select and not changed(
            OUTPUT_SETTINGS, self.config, other.config
        )


def wanted_outputs(config: Config) -> dict[str, Chosen]:
    """Every output of the settings by its "NAME:ADDRESS", as `registry.create` takes it.

    Raises:
        StartupError: one is there twice, or is for the partitions of a source.
    """
    wanted: dict[str, Chosen] = {}
    for section, own in config.each_output():
        if section.spec in wanted:
            shown = registry.shown(section.spec)
            raise StartupError(f"output {shown} is named twice; name it once")
        pattern = own.table_pattern if section.place == "db" else section.spec
        if config.source is None and section.place != "output" and "%p" in pattern:
            name = "table_pattern" if section.place == "db" else section.place
            raise ConfigError([f"{name} has %p, the partition of a source, and source is not set"])
        wanted[section.spec] = Chosen(own, section.select)
    return wanted


def chooser_of(select: str | None) -> Choose | None:
    """What chooses the records of a selection.

    Raises:
        OutputUnusable: it is no selection.
    """
    if select is None:
        return None
    # Late: few daemons need to know what a selection is.
    from logd.daemon.choosing import chooser
    from logd.query.terms import WrongSelection

    try:
        return chooser(select)
    except WrongSelection as exc:
        raise OutputUnusable(f"select: {exc}") from exc


def output_settings(config: Config, state: Path, dead_letters: DeadLetterFile) -> OutputSettings:
    """The settings of one output, as outputs take them.

    Args:
        config: the settings as they are for this output.
        state: see `OutputMaker`.
        dead_letters: see `OutputMaker`.

    Raises:
        StartupError: `line_format` is wrong.
    """
    schedule = (
        None if config.rotate_at is None else Schedule.parse(config.rotate_at, config.rotate_utc)
    )
    return OutputSettings(
        rotation=RotationPolicy(
            lines=config.rotate_lines, size=config.rotate_size, schedule=schedule
        ),
        retention=Retention(
            count=config.rotate_count,
            age_s=config.keep_age_s,
            total_bytes=config.keep_total_bytes,
        ),
        # Each output has a layout of its own: they format in threads of their own.
        line_format=_line_format(config),
        durable=config.sync == "batch",
        state_dir=state,
        dead_letters=dead_letters,
        compress=config.compress,
        naming=config.naming,
        min_free_bytes=config.min_free_bytes,
        table_pattern=config.table_pattern,
        shared_marks=config.shared_marks,
        columns=config.columns,
        text_index=config.text_index,
        engine_durable=config.engine_durable,
        max_sessions=config.max_sessions,
        timestamp=config.timestamp,
    )


def _line_format(config: Config) -> LineFormat:
    if config.line_format is None:
        return LineFormat(config.timestamp)
    if config.line_format == "json":
        return JsonFormat()
    if config.line_format == "logfmt":
        return LogfmtFormat()
    try:
        return Formatter(config.line_format, config.timestamp)
    except ValueError as exc:
        raise StartupError(f"line_format: {exc}") from exc

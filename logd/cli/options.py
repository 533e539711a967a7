"""Command-line options made from the table of settings, under headings in the usage text."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import click

from logd.settings.field import OPERATION
from logd.settings.kinds import Choice, Flag
from logd.settings.loading import InForce, load
from logd.settings.printing import default_text
from logd.settings.sources import Sources
from logd.settings.table import SETTINGS, Setting

_GENERAL = "General"


class HeadedOption(click.Option):
    """An option that stands under a heading of its own in the usage text."""

    def __init__(self, declarations: list[str], heading: str, **kwargs: Any) -> None:
        super().__init__(declarations, **kwargs)
        self.heading = heading


def _option_of(setting: Setting) -> HeadedOption:
    """The option for one setting; it has no default, so that what was given can be told."""
    declaration = setting.option
    many = " ..." if setting.kind.has_many else ""
    kwargs: dict[str, Any] = {"metavar": setting.kind.metavar + many}
    if isinstance(setting.kind, Flag):
        declaration = f"{setting.option}/--no-{setting.option[2:]}"
        kwargs = {"default": None}
    elif isinstance(setting.kind, Choice):
        kwargs = {"type": click.Choice(setting.kind.words)}
    elif setting.kind.metavar in ("PATH", "PATTERN"):
        kwargs["type"] = click.Path()  # completes file names
    default = default_text(setting)
    shown = f"  [{'off' if default == 'false' else default}]" if default != "not set" else ""
    return HeadedOption(
        [setting.name, declaration],
        setting.group,
        help=setting.help + shown,
        multiple=setting.kind.has_many,
        **kwargs,
    )


class SettingsCommand(click.Command):
    """A command with an option for every setting, `--config` and `--no-uvloop`.

    Its callback gets `in_force`: the settings, with where they came from.

    Args:
        args: see `click.Command`.
        explained: the settings that the command's help shows; None for all.
        kwargs: see `click.Command`.
    """

    def __init__(self, *args: Any, explained: Collection[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._explained = explained
        self.params += [
            click.Option(
                ["config_file", "--config"],
                metavar="FILE",
                type=click.Path(),
                help="Read settings from this TOML file. LOGD_CONFIG names one too.",
            ),
            *map(_option_of, SETTINGS.values()),
            HeadedOption(
                ["no_uvloop", "--no-uvloop"],
                OPERATION,
                is_flag=True,
                help="The same as --loop asyncio.",
            ),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Turn the options into settings, then run the callback.

        Raises:
            ConfigError: the settings can't be used.
        """
        if not ctx.params.get("check"):
            ctx.params["in_force"] = _settings_of(ctx.params)
        for name in (*SETTINGS, "config_file", "no_uvloop"):
            del ctx.params[name]
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {_GENERAL: []}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            is_left_out = (
                self._explained is not None
                and isinstance(option, HeadedOption)
                and option.name not in self._explained
            )
            if record is not None and not is_left_out:
                groups.setdefault(getattr(option, "heading", _GENERAL), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records, col_max=30)


def _settings_of(params: dict[str, Any]) -> InForce:
    given: dict[str, str | tuple[str, ...]] = {}
    for name in SETTINGS:
        value = params[name]
        if isinstance(value, bool):
            given[name] = "true" if value else "false"
        elif value not in (None, ()):
            given[name] = value
    if params["no_uvloop"] and given.setdefault("loop", "asyncio") != "asyncio":
        raise click.UsageError("--no-uvloop contradicts --loop uvloop")
    return load(Sources.of_process(given, params["config_file"]))

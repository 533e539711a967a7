"""Settings as text: the TOML that `logd config` prints and the table of the README. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from logd.settings.kinds import Flag, toml_string
from logd.settings.loading import InForce
from logd.settings.sections import as_toml as sections_as_toml
from logd.settings.table import SETTINGS, Setting


def as_toml(in_force: InForce, shown: Callable[[str, str], str], folder: Path) -> str:
    """All settings as a valid settings file, each with where it came from; without secrets.

    Args:
        in_force: the settings.
        folder: where relative paths of options and variables start; they are shown whole, as
            those of a settings file start at that file.
        shown: called with the name of a setting and one of its secrets; what to show of it.
    """
    lines = ["# Settings in force, each with where it came from. Secrets are left out."]
    group = ""
    for name, setting in SETTINGS.items():
        if setting.group != group:
            group = setting.group
            lines += ["", f"# {group}"]
        lines.append(
            f"{name} = {_value(setting, getattr(in_force.config, name), shown, folder)}"
            f"  # {' '.join(in_force.origins[name].split())}"
        )
    lines += sections_as_toml(in_force.config.outputs, SETTINGS, shown)
    return "\n".join(lines) + "\n"


def _value(setting: Setting, value: object, shown: Callable[[str, str], str], folder: Path) -> str:
    value = setting.kind.based(value, folder)
    if setting.hides and isinstance(value, tuple):
        value = tuple(shown(setting.name, item) for item in value)
    return setting.kind.to_toml(value)


def as_markdown() -> str:
    """The settings as a Markdown table."""
    lines = [
        "| setting | value | default | what it does |",
        "| --- | --- | --- | --- |",
        *_rows(),
    ]
    return "\n".join(lines) + "\n"


def _rows() -> Iterator[str]:
    group = ""
    for setting in SETTINGS.values():
        if setting.group != group:
            group = setting.group
            yield f"| **{group}** | | | |"
        value = "true, false" if isinstance(setting.kind, Flag) else setting.kind.metavar
        if setting.kind.has_many:
            value += " ..."
        restart = "" if setting.reloads else " Restart to change."
        cells = (f"`{setting.name}`", value, f"`{default_text(setting)}`", setting.help + restart)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def default_text(setting: Setting) -> str:
    """The default as one would write it on the command line; "not set" if there is none."""
    text = setting.kind.to_toml(setting.default)
    if text in ('""', "[]"):
        return "not set"
    if setting.kind.has_many:
        text = text[1:-1]
        if isinstance(setting.default, tuple) and len(setting.default) > 1:
            # The quotes show where one ends and the next begins.
            return text
    return str(setting.default) if text == toml_string(str(setting.default)) else text.strip('"')

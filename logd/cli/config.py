"""`logd config`: shows the settings in force, or checks a file."""

from __future__ import annotations

from pathlib import Path

import click

from logd.cli.options import SettingsCommand
from logd.daemon.checking import faults
from logd.outputs import registry
from logd.settings.checks import warnings
from logd.settings.loading import ConfigError, InForce, load
from logd.settings.printing import as_toml
from logd.settings.secrets import reveal, without_arguments
from logd.settings.sources import Sources


@click.command(cls=SettingsCommand)
@click.option(
    "--check",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Only check this settings file. Other options are ignored. Filters, observers and outputs "
    "are created as at a start, but nothing is opened.",
)
def config(check: Path | None, in_force: InForce | None = None) -> None:
    """Show the settings in force as a settings file. A comment says where each came from.

    It takes the options of "logd serve" and shows the settings that "logd serve" would use. It
    shows no passwords and no other secrets.

    \b
    Examples:
      logd config > logd.toml
          A file with all settings, to begin with.
      logd config --config /etc/logd/logd.toml
          What is in force, and why.
      logd config --check /etc/logd/logd.toml
          Exit status 0 if the file is right; if not, 2 and a line for each fault.
    """
    if check is not None:
        in_force = load(Sources(file=check.absolute()))
        wrong = faults(in_force.config)
        if wrong:
            raise ConfigError([f"{check.absolute()}: {text}" for text in wrong])
        click.echo(f"{check}: all settings are right")
    else:
        assert in_force is not None  # noqa: S101 - SettingsCommand reads them unless --check
        click.echo(as_toml(in_force, shown, Path.cwd()), nl=False)
    for note in (*in_force.notes, *warnings(in_force.config)):
        click.echo(f"logd: {note}", err=True)


def shown(name: str, value: str) -> str:
    """What to show of a value that may hold secrets."""
    if name == "db":
        return registry.shown(f"db:{reveal(value)}").removeprefix("db:")
    return registry.shown(reveal(value)) if name == "output" else without_arguments(value)

"""`logd web`: shows the log in the browser; `logd web user` keeps the users who may look."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from logd.cli import logs
from logd.cli.options import SettingsCommand
from logd.errors import LogdError, StartupError
from logd.settings.field import WEB
from logd.settings.loading import InForce
from logd.settings.table import SETTINGS

_USAGE = "expected nothing, `user add NAME` or `user remove NAME`"

# What says where the log is, and how the page is served.
_EXPLAINED = (
    *("file", "db", "table_pattern", "state_dir", "control"),
    *(setting.name for setting in SETTINGS.values() if setting.group == WEB),
)


@click.command(cls=SettingsCommand, explained=_EXPLAINED)
@click.argument("words", nargs=-1, metavar="[user (add|remove) NAME]")
@click.option("--open", "opens_browser", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--role",
    type=click.Choice(["viewer", "editor"]),
    default="viewer",
    show_default=True,
    help="Role of the new user. An editor may save views.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="SELECTION ...",
    help="Entries that the new user may see: logger:shop.*",
)
def web(
    words: tuple[str, ...],
    opens_browser: bool,
    role: str,
    only: tuple[str, ...],
    in_force: InForce,
) -> None:
    """Show the log in the browser: live, searchable, with tracebacks grouped.

    The page reads the files or tables that a daemon with the same settings writes. Only this
    machine can use it, unless it has TLS and a login. The command prints a link that signs in
    once. It needs the packages of `pip install 'logd[web]'`.

    All other options of "logd serve" are taken, too, so that both can have the same.

    \b
    Examples:
      logd web --open
          Show the log in the folder logs.
      logd web --config /etc/logd/logd.toml
          Show the log of the service.
      logd web user add ann --web-users-file users.toml --role editor
          Add a user. The command asks for a password.
    """
    if words:
        _user(words, in_force, role, only)
        return
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise StartupError(f"logd web needs {' and '.join(missing)}: pip install 'logd[web]'")
    logs.configure(in_force.config.log_level)
    # Late: the server's packages take their time.
    from logd.web.server import run

    run(in_force, opens_browser=opens_browser)


def _user(words: tuple[str, ...], in_force: InForce, role: str, only: tuple[str, ...]) -> None:
    from logd.web.users import write_user

    if len(words) != 3 or words[0] != "user" or words[1] not in ("add", "remove"):
        raise click.UsageError(f"{' '.join(words)!r}: {_USAGE}")
    if in_force.config.web_users_file is None:
        raise LogdError("web_users_file is not set: give --web-users-file FILE")
    name = words[2]
    password = None
    if words[1] == "add":
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True)
        if len(password) < 8:
            raise LogdError("the password needs at least 8 characters")
    write_user(Path(in_force.config.web_users_file), name, password, role, only)
    click.echo(f"{name} {'may look now' if password is not None else 'was removed'}")

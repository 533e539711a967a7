"""Writes the manual's pages: logd(1), one for each command, and logd.toml(5).

    python packages/manpages.py FOLDER

They follow from click's help and the table of settings, so they say what the program says. Run by
the Python that logd is installed for; `make install` and `make deb` do so.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from logd import __version__
from logd.cli.commands import COMMANDS, logd
from logd.settings.kinds import Flag
from logd.settings.printing import default_text
from logd.settings.table import OUTPUT_SETTINGS, SETTINGS

FILES = {
    "/etc/logd/logd.toml": "Settings of the service, see logd.toml(5).",
    "/etc/logd/NAME.toml": "Settings of the instance logd@NAME.service.",
    "/var/log/logd": "The log, if the settings of the service say no other place.",
    "/var/lib/logd": "Dead letters, what waits for outputs, and the control socket.",
}
STATUSES = {
    "0": "What was asked for was done.",
    "1": "It did not work; a line on standard error says why.",
    "2": "What was asked for makes no sense: wrong options or settings.",
}
ENVIRONMENT = {
    "LOGD_CONFIG": "Names the settings file, as --config does.",
    "LOGD_SETTING": "Gives one setting, LOGD_ROTATE_COUNT for rotate_count; options go first.",
}
# Characters that roff would print as others, or take as its own.
SPECIAL = str.maketrans(
    {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
)


def escaped(text: str) -> str:
    """Text that roff prints as it is; a line never begins with what would be a request."""
    lines = text.translate(SPECIAL).split("\n")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in lines)


def page(name: str, section: int, does: str, parts: dict[str, str]) -> str:
    """One page: its head, its name, then a heading for each part."""
    # No date: that of the build would make each build another one. No hyphens in names.
    head = f'.TH "{name.upper()}" {section} "" "logd {__version__}" "logd manual"\n.nh\n'
    body = f"{head}.SH NAME\n{escaped(name)} \\- {escaped(does)}\n"
    return body + "".join(f".SH {title}\n{text}" for title, text in parts.items() if text)


def entries(items: dict[str, str]) -> str:
    """A list of bold words, each with its explanation."""
    return "".join(
        f".TP\n\\fB{escaped(word)}\\fR\n{escaped(text)}\n" for word, text in items.items()
    )


def prose(text: str) -> str:
    """Paragraphs of a help text; what follows a line with a backspace keeps its lines."""
    found = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            found.append(f".PP\n.nf\n{escaped(paragraph[2:])}\n.fi\n")
        else:
            found.append(f".PP\n{escaped(paragraph)}\n")
    return "".join(found)


def options(command: click.Command, context: click.Context) -> str:
    """The options of a command, under the headings of its usage text."""
    groups: dict[str, dict[str, str]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            heading = getattr(parameter, "heading", "General")
            groups.setdefault(heading, {})[record[0]] = record[1]
    if len(groups) == 1:
        return "".join(map(entries, groups.values()))
    return "".join(f".SS {escaped(name)}\n{entries(items)}" for name, items in groups.items())


def also(*names: str) -> str:
    """References to other pages."""
    return (
        ", ".join(
            f"\\fB{escaped(name)}\\fR({number})"
            for name, _, number in (name.partition("|") for name in names)
        )
        + "\n"
    )


def command_page(name: str, context: click.Context) -> str:
    """The page of one command."""
    command = logd.get_command(context, name)
    assert command is not None  # noqa: S101 - the table has it
    inner = click.Context(command, info_name=name, parent=context)
    usage = " ".join(["logd", name, *command.collect_usage_pieces(inner)])
    parts = {
        "SYNOPSIS": f"\\fB{escaped(usage)}\\fR\n",
        "DESCRIPTION": prose(command.help or ""),
        "OPTIONS": options(command, inner),
        "EXIT STATUS": entries(STATUSES),
        "SEE ALSO": also("logd|1", "logd.toml|5"),
    }
    return page(f"logd-{name}", 1, COMMANDS[name].help.rstrip("."), parts)


def main_page(context: click.Context) -> str:
    """The page of the program."""
    commands = {f"logd {name}": entry.help for name, entry in COMMANDS.items()}
    does, _, rest = inspect.cleandoc(logd.help or "").partition("\n\n")
    parts = {
        "SYNOPSIS": "\\fBlogd\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n",
        "DESCRIPTION": prose(rest),
        "COMMANDS": entries(commands),
        "OPTIONS": options(logd, context),
        "ENVIRONMENT": entries(ENVIRONMENT),
        "FILES": entries(FILES),
        "EXIT STATUS": entries(STATUSES),
        "SEE ALSO": also(*(f"logd-{name}|1" for name in COMMANDS), "logd.toml|5"),
    }
    return page("logd", 1, does.rstrip("."), parts)


OUTPUTS = (
    "A table [[outputs]] is one more output. It names one of file, db, stdout and output. With "
    'select it gets only the records of that selection, such as select = "cat:E,C". It may have '
    f"for itself: {', '.join(OUTPUT_SETTINGS)}. Everything else is as for all outputs."
)


def settings_page() -> str:
    """The page of the settings file."""
    groups: dict[str, str] = {}
    for setting in SETTINGS.values():
        value = "true, false" if isinstance(setting.kind, Flag) else setting.kind.metavar
        text = f"{setting.help} Default: {default_text(setting)}."
        if not setting.reloads:
            text += " Restart to change."
        name = f"\\fB{escaped(setting.name)}\\fR = \\fI{escaped(value)}\\fR"
        many = " ..." if setting.kind.has_many else ""
        groups.setdefault(setting.group, "")
        groups[setting.group] += f".TP\n{name}{many}\n{escaped(text)}\n"
    describes = (
        "The settings of the log daemon and its page, as TOML. Each one may also be given as an "
        "option (--rotate-count) or in the environment (LOGD_ROTATE_COUNT); options go before the "
        "environment, and the environment before the file.\n\n"
        "logd config --config FILE shows all that are in force, with where each came from; "
        "logd config --check FILE says what is wrong. The service takes changes on "
        "systemctl reload logd, except those that need a restart."
    )
    parts = {
        "DESCRIPTION": prose(describes),
        "OUTPUTS OF THEIR OWN": prose(OUTPUTS),
        "SETTINGS": "".join(f".SS {escaped(name)}\n{text}" for name, text in groups.items()),
        "FILES": entries(FILES),
        "SEE ALSO": also("logd|1", "logd-serve|1", "logd-config|1"),
    }
    return page("logd.toml", 5, "settings of the log daemon", parts)


def pages() -> Iterator[tuple[str, str]]:
    """Name and text of each page."""
    context = click.Context(logd, info_name="logd", max_content_width=100)
    yield "man1/logd.1", main_page(context)
    for name in COMMANDS:
        yield f"man1/logd-{name}.1", command_page(name, context)
    yield "man5/logd.toml.5", settings_page()


def main() -> None:
    """Write all pages into the folder that the caller names."""
    folder = Path(sys.argv[1])
    for name, text in pages():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

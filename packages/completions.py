"""Writes the completion of the command `logd` for one shell to standard output.

    python packages/completions.py bash|zsh|fish

The same as `_LOGD_COMPLETE=bash_source logd`, but without the shell itself.
"""

from __future__ import annotations

import sys

from click.shell_completion import get_completion_class

from logd.cli.commands import logd


def main() -> None:
    """Write it."""
    shell = get_completion_class(sys.argv[1])
    assert shell is not None  # noqa: S101 - the Makefile names those that click knows
    # Of bash's class the source would run bash first, to see that it is new enough.
    shell._check_version = staticmethod(lambda: None)  # type: ignore[attr-defined]
    source = shell(logd, {}, "logd", "_LOGD_COMPLETE").source()
    # click's script for fish ends explanations at their first comma.
    source = source.replace('string split ","', 'string split --max 1 ","')
    sys.stdout.write(source.lstrip("\n"))


if __name__ == "__main__":
    main()

"""Takes `-5` for an option with a number, as head, tail and git do, and leaves `-cat:E` alone."""

from __future__ import annotations

import re
from typing import Any

import click

_NUMBER = re.compile(r"-[0-9]+")
# An excluding word of a selection, see `logd.query.grammar`.
_WORD = re.compile(r"""-(?:[^\W\d][\w.-]+:|["/]).*""", re.DOTALL)


class ShortCount(click.Command):
    """A command that takes -5 for an option with the number 5, and -cat:E for an argument.

    Args:
        short_option: that option.
    """

    def __init__(self, *args: Any, short_option: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._short_option = short_option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spell the number out, unless it is the value of an option before it, as -n -5 is."""
        taking = {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for name in parameter.opts
        }
        spelled: list[str] = []
        words: list[str] = []
        for place, text in enumerate(args):
            if text == "--":
                words += args[place + 1 :]
                break
            is_value = place > 0 and args[place - 1] in taking
            if _NUMBER.fullmatch(text) and not is_value:
                spelled += [self._short_option, text[1:]]
            elif _WORD.fullmatch(text) and not is_value:
                words.append(text)
            else:
                spelled.append(text)
        return super().parse_args(ctx, [*spelled, "--", *words] if words else spelled)

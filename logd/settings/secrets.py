"""Secrets in settings: a type of text that can't be printed. Pure.

Addresses of databases and outputs hold passwords, arguments of filters and observers may hold
anything, a token is nothing but a secret. Their values are `Secret`: `str()`, `repr()`, f-strings
and log lines show `MASK`; only `reveal` gives the text, where it is needed. What can be shown of a
database's address is the business of its parser, see `logd.outputs.registry.shown`.
"""

from __future__ import annotations

MASK = "***"
"""Stands where a secret was."""


class Secret(str):
    """Text that shows as `MASK`; equal to the same text, so that settings can be compared."""

    __slots__ = ()

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return repr(MASK)

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)


def reveal(text: str) -> str:
    """The text of a secret; of other text itself."""
    return str.__str__(text)


def without_arguments(name: str) -> str:
    """The name of a filter or observer, `MASK` for the values of its arguments."""
    path, mark, query = reveal(name).partition("?")
    keys = [argument.partition("=")[0] for argument in query.split("&") if argument]
    return path + mark + "&".join(f"{key}={MASK}" for key in keys)


def is_masked(text: str) -> bool:
    """Whether a secret was taken out of a value, so that it is of no use any more."""
    text = reveal(text)
    return f":{MASK}@" in text or text.endswith(f"={MASK}") or f"={MASK}&" in text

"""Errors of logd that callers may want to tell apart, and the "did you mean" of their texts.

Each module adds its own errors below these.
"""

from __future__ import annotations

from collections.abc import Iterable


class LogdError(Exception):
    """Base of the errors that logd raises on purpose."""


class StartupError(LogdError):
    """The daemon can't start as told; the text says in one line what, where and what to do."""


def nearest(name: str, names: Iterable[str], alike: float = 0.6) -> str | None:
    """The one of `names` that is most like `name`; None if nothing is similar.

    Args:
        name: what was found.
        names: what is known.
        alike: from 0 (anything will do) to 1 (the same).
    """
    # Late, as few starts have an error to report.
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, names, 1, alike)), None)

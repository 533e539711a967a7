"""Categories of records as filters and observers get them for arguments. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def category_set(cats: Iterable[str] | None, name: str = "cats") -> frozenset[str] | None:
    """The categories of an argument; None for all of them.

    Args:
        cats: as given.
        name: of the argument, for the error.

    Raises:
        TypeError: it is one text, whose letters would be taken for categories.
    """
    if isinstance(cats, str):
        raise TypeError(f"{name}: expected a sequence of categories, got the str {cats!r}")
    return None if cats is None else frozenset(cats)

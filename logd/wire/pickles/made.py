"""What the machine makes of what a pickle says: containers, and descriptions of objects.

Nothing here is looked up or called. Containers are classes of their own if Python's would hash
what they hold: a key may be anything, also what takes forever to hash.
"""

from __future__ import annotations

from typing import NamedTuple, cast


class Name(str):
    """The name of a class or function, with its module."""

    __slots__ = ()

    @property
    def short(self) -> str:
        """The name without the module."""
        return self.rpartition(".")[2]


class Mapped:
    """A dict: its keys and values in turn, as they came; a key may come twice."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[object]) -> None:
        self.pairs = pairs


class MadeSet:
    """A set or frozen set: its members as they came."""

    __slots__ = ("members",)

    def __init__(self, members: list[object]) -> None:
        self.members = members


class Made:
    """An object: the name of what would make it, and with which values.

    Attributes:
        name: of the class or function.
        arguments: what it would be called with.
        state: what the object would be given afterwards; None for nothing.
        members: what would be appended to it.
        pairs: keys and values in turn that it would be given as a dict is.
    """

    __slots__ = ("arguments", "members", "name", "pairs", "state")

    def __init__(self, name: Name, arguments: tuple[object, ...]) -> None:
        self.name = name
        self.arguments = arguments
        self.state: object = None
        self.members: list[object] = []
        self.pairs: list[object] = []


class Told(NamedTuple):
    """An object as text.

    Attributes:
        text: what `str()` gives.
        code: what `repr()` gives.
    """

    text: str
    code: str


Worth = str | int | float | list[object] | Told
"""What an object is worth: text, a number, a list; `Told` if `repr()` is not that of the text."""


def are(arguments: tuple[object, ...], *kinds: type) -> bool:
    """Whether the arguments are values of exactly these types."""
    return tuple(map(type, arguments)) == kinds


def as_dict(value: object) -> dict[str, object] | None:
    """A dict whose keys are all text, as Python's own; None for all else."""
    if type(value) is not Mapped:
        return None
    keys, values = value.pairs[::2], value.pairs[1::2]
    if not {*map(type, keys)} <= {str}:
        return None
    return dict(zip(cast("list[str]", keys), values, strict=True))

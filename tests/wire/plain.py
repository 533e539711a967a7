"""What the machine makes of a pickle, with Python's own containers: to be compared with others."""

from __future__ import annotations

from itertools import repeat

from logd.wire.pickles.made import MadeSet, Mapped


def as_python(value: object) -> object:
    """What the machine made, with Python's own containers."""
    if type(value) is Mapped:
        pairs = list(map(as_python, value.pairs))
        return dict(zip(pairs[::2], pairs[1::2], strict=True))
    if type(value) is MadeSet:
        return set(map(as_python, value.members))
    return type(value)(map(as_python, value)) if type(value) in (list, tuple) else value


def is_same(plain: object, made: object, seen: set[tuple[int, int]] | None = None) -> bool:
    """Whether the machine made of a pickle what Python made of it.

    Compares what is shared once, for a few hundred bytes may be millions of leaves.
    """
    seen = set() if seen is None else seen
    pair = (id(plain), id(made))
    if pair in seen:
        return True
    seen.add(pair)
    if type(made) is Mapped:
        keys = list(map(as_python, made.pairs[::2]))
        items = dict(zip(keys, made.pairs[1::2], strict=True))
        return (
            type(plain) is dict
            and list(map(repr, plain)) == list(map(repr, items))
            and all(map(is_same, plain.values(), items.values(), repeat(seen)))
        )
    if type(made) is MadeSet:
        return repr(plain) == repr(as_python(made))
    if type(made) in (list, tuple):
        return (
            type(plain) is type(made)
            and len(plain) == len(made)  # type: ignore[arg-type]
            and all(map(is_same, plain, made, repeat(seen)))  # type: ignore[call-overload]
        )
    return repr(plain) == repr(made)

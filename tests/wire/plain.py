"""What the machine makes of a pickle, with Python's own containers: to be compared with others."""

from __future__ import annotations

from logd.wire.pickles.made import Group, Mapped


def as_python(value: object) -> object:
    """What the machine made, with Python's own containers."""
    if type(value) is Mapped:
        pairs = list(map(as_python, value.pairs))
        return dict(zip(pairs[::2], pairs[1::2], strict=True))
    if type(value) is Group:
        return set(map(as_python, value.members))
    return type(value)(map(as_python, value)) if type(value) in (list, tuple) else value

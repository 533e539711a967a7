"""Divides a sequence into stretches, each below a limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T", bound=Sized)


def in_stretches(things: Iterable[T], limit: int) -> Iterator[list[T]]:
    """Stretches whose lengths add up to `limit` at most; a longer thing is one of its own."""
    stretch: list[T] = []
    length = 0
    for thing in things:
        if stretch and length + len(thing) > limit:
            yield stretch
            stretch, length = [], 0
        stretch.append(thing)
        length += len(thing)
    if stretch:
        yield stretch

"""A file in memory whose descriptor the app may have closed, and got again for something else.

Before Python 3.13 an `mmap` keeps a descriptor of its own, and closes it by its number, even if the
app has got that number for something else. In that case the map is never closed.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from collections.abc import Iterator
from typing import Any

from logd_client.descriptors import Descriptor

__all__ = ["MappedFile"]

_UNTRACKED: Any = {"trackfd": False} if sys.version_info >= (3, 13) else {}

_kept: list[mmap.mmap] = []


class MappedFile:
    """The first `size` bytes of an open file, to read and write as `bytes`.

    Attributes:
        bytes: the map; lives on when the descriptor is closed.
    """

    def __init__(self, number: int, size: int) -> None:
        likely = os.dup(number)
        os.close(likely)
        self.bytes = mmap.mmap(number, size, **_UNTRACKED)
        self._copy = None if _UNTRACKED else _copy_of(number, likely)

    def close(self) -> None:
        """Free the memory, unless a descriptor of the app would be closed with it."""
        if self._copy is None or self._copy.is_same:
            self.bytes.close()
        else:
            _kept.append(self.bytes)


def _copy_of(number: int, likely: int) -> Descriptor | None:
    """The other descriptor of the file that `number` stands for; None if it can't be found."""
    wanted = Descriptor.of(number)
    for other in _candidates(likely):
        found = wanted._replace(number=other)
        if other != number and found.is_same:
            return found
    return None


def _candidates(likely: int) -> Iterator[int]:
    yield likely
    with contextlib.suppress(OSError):
        yield from map(int, os.listdir("/dev/fd"))  # noqa: PTH208 - numbers, no paths

"""The blocks of a file in its index (`sidecar.py`): where each is, and which times are in it. Pure.

A large file has thousands of them, and most questions look at none: they stand in columns of
numbers, and one is made of these when it is asked for.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload


class BlockTimes(NamedTuple):
    """One block.

    Attributes:
        place: the bytes of the file before it, uncompressed.
        end: the same with it.
        first_ms: no entry of it is earlier, in milliseconds since the epoch.
        behind_ms: all entries of it that have a time are earlier.
        cells_before: how many of the cells are of earlier blocks.
        is_counted: whether its cells tell all its entries; else it has none.
    """

    place: int
    end: int
    first_ms: int
    behind_ms: int
    cells_before: int
    is_counted: bool


class Blocks(Sequence[BlockTimes]):
    """All blocks of a file, in their order.

    Args:
        numbers: see `packed`.

    Attributes:
        are_counted: whether cells tell all entries of all of them.
    """

    def __init__(self, numbers: array[int]) -> None:
        self._columns = columns_of(numbers, len(BlockTimes._fields))
        self.are_counted = all(self._columns[-1])

    @classmethod
    def of(cls, blocks: Iterable[BlockTimes]) -> Blocks:
        """The same of blocks that were made."""
        columns = zip(*blocks, strict=True)
        return cls(array("q", [number for column in columns for number in column]))

    @property
    def have_gaps(self) -> bool:
        """Whether there is something before the first one, or between two."""
        places, ends = self._columns[:2]
        return bool(places) and (places[0] != 0 or places[1:] != ends[:-1])

    def packed(self) -> array[int]:
        """All numbers, column by column."""
        return array("q", [number for column in self._columns for number in column])

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[BlockTimes]:
        for place, end, first_ms, behind_ms, before, is_counted in zip(*self._columns, strict=True):
            yield BlockTimes(place, end, first_ms, behind_ms, before, bool(is_counted))

    @overload
    def __getitem__(self, number: int) -> BlockTimes: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[BlockTimes]: ...

    def __getitem__(self, number: int | slice) -> BlockTimes | Sequence[BlockTimes]:
        if isinstance(number, slice):
            return [self[n] for n in range(len(self))[number]]
        place, end, first_ms, behind_ms, before, is_counted = (c[number] for c in self._columns)
        return BlockTimes(place, end, first_ms, behind_ms, before, bool(is_counted))


def columns_of(numbers: array[int], count: int) -> Sequence[array[int]]:
    """The `count` columns of numbers that stand one column after another."""
    rows = len(numbers) // count
    return [numbers[n * rows : (n + 1) * rows] for n in range(count)]


def bytes_of(numbers: array[int]) -> bytes:
    """Numbers as an index has them; they are not to be used afterwards."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def numbers_of(data: bytes) -> array[int]:
    """The same the other way round."""
    numbers = array("q", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers

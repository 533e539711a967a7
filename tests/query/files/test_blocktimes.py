"""Blocks of a file as columns of numbers."""

from __future__ import annotations

import pytest

from logd.query.files.blocktimes import Blocks, BlockTimes, bytes_of, numbers_of

FIRST = BlockTimes(0, 10, 100, 200, 0, True)
SECOND = BlockTimes(10, 25, 150, 300, 4, False)


def test_there_and_back() -> None:
    """Blocks come back from the bytes of an index one by one, in a row and by slices."""
    blocks = Blocks(numbers_of(bytes_of(Blocks.of([FIRST, SECOND]).packed())))
    assert list(blocks) == [FIRST, SECOND] == [blocks[0], blocks[-1]]
    assert (len(blocks), blocks[1:]) == (2, [SECOND])
    assert blocks[1].is_counted is False
    assert not blocks.are_counted


def test_no_blocks() -> None:
    """A file without an entry has none, and all of these are counted."""
    blocks = Blocks.of([])
    assert list(blocks) == []
    assert blocks.are_counted
    assert not blocks.have_gaps


@pytest.mark.parametrize(
    "blocks",
    [
        [FIRST._replace(place=1)],
        [FIRST, SECOND._replace(place=11)],
        [FIRST, SECOND._replace(place=9)],
    ],
)
def test_gaps(blocks: list[BlockTimes]) -> None:
    """What is before the first block, between two or in both is noticed."""
    assert Blocks.of(blocks).have_gaps
    assert not Blocks.of([FIRST, SECOND]).have_gaps

"""Things parted into stretches."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from logd.records.stretches import in_stretches


@given(st.lists(st.binary(max_size=12)), st.integers(1, 20))
def test_stretches_are_as_long_as_they_may_be(things: list[bytes], limit: int) -> None:
    """All things are there in their order; no stretch is too long, and no two would fit in one."""
    stretches = list(in_stretches(things, limit))
    assert [thing for stretch in stretches for thing in stretch] == things
    assert all(len(stretch) == 1 or sum(map(len, stretch)) <= limit for stretch in stretches)
    for one, other in itertools.pairwise(stretches):
        assert sum(map(len, one)) + len(other[0]) > limit

"""A few records by themselves: the same text as by columns, whatever is in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context, ContextItems
from logd.text.fewlines import FEW
from logd.text.lines import LineFormat, encode_lines
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps

TEXTS = st.one_of(
    st.sampled_from(["paid", "tab\there", "two\nlines", "back\\slash", "grün", ""]), st.text()
)
ITEMS = st.dictionaries(
    TEXTS, st.one_of(TEXTS, st.integers(), st.booleans(), st.none()), max_size=3
)
NAMES_OF_FILES = st.one_of(st.none(), TEXTS)
CONTEXTS = st.builds(
    Context,
    pid=st.integers(1, 3),
    tid=st.integers(0, 2),
    threadname=TEXTS,
    cat=st.sampled_from(["E", "", "two words"]),
    path=st.lists(st.tuples(st.one_of(st.none(), TEXTS), st.integers(1, 99)), max_size=2).map(
        tuple
    ),
    tblen=st.just(0),
    cfunc=TEXTS,
)


class FullNames(ShortNames):
    """Writes names of files otherwise."""

    def pathAsStr(self, path: Any) -> str:
        return f"full {super().pathAsStr(path)}"


@pytest.fixture(scope="module", params=[DEFAULT_FORMAT, "%H:%M", None])
def stamps(request: pytest.FixtureRequest) -> Timestamps:
    """Timestamps with milliseconds, without, and none."""
    return Timestamps(request.param)


@given(data=st.data())
def test_both_make_the_same_text(stamps: Timestamps, data: st.DataObject) -> None:
    """By one object that keeps what it learned, over batches of one log after the other."""
    lines = LineFormat(stamps.fmt)
    known = data.draw(st.lists(CONTEXTS, min_size=1, max_size=4))
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.lists(st.integers(0, len(known) - 1), min_size=1, max_size=FEW + 2))
        count = len(index)
        times = data.draw(st.lists(st.floats(0, 4e9), min_size=count, max_size=count))
        own = data.draw(st.dictionaries(st.integers(0, count - 1), ITEMS, max_size=2))
        shared = data.draw(st.lists(ITEMS, min_size=len(known), max_size=len(known)))
        special: Any = own
        if data.draw(st.booleans()):
            # Records of one place share items, or have their own.
            alone = {row: items for row, items in own.items() if not shared[index[row]]}
            special = ContextItems(shared, index, alone)
        batch = Batch(
            known,
            index,
            data.draw(st.lists(st.integers(0, 5000), min_size=count, max_size=count)),
            times,
            data.draw(st.lists(TEXTS, min_size=count, max_size=count)),
            special,
            peer=data.draw(st.sampled_from(["", "10.0.0.7"])),
            ts=stamps.texts(times),
            formatter=data.draw(st.sampled_from([NAMES, FULL_NAMES])),
        )
        assert lines.encode_batch(batch) == encode_lines(LineFormat(stamps.fmt).format_batch(batch))


NAMES, FULL_NAMES = ShortNames(), FullNames()

"""Batches as bytes come back as they were."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from logd.outputs.batchbytes import decode_batch, encode_batch
from logd.records.batch import Batch
from logd.records.context import Context
from tests.outputs.output_making import CLIENT
from tests.outputs.queues import columns

# -- batches as bytes ---------------------------------------------------------------------------

texts = st.text(st.characters(), max_size=8)
values = st.one_of(texts, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())


@given(
    msg=texts,
    name=texts,
    msgid=st.integers(),
    special=st.dictionaries(texts, values, max_size=3),
    path=st.lists(st.tuples(st.one_of(st.none(), texts), st.one_of(st.none(), st.integers()))),
)
@example(msg="", name="", msgid=0, special={"\ud800": "\udfff"}, path=[])
@example(msg="", name="", msgid=-(2**63) - 1, special={"k": 2**64}, path=[(None, 2**70)])
def test_anything_survives(
    msg: str,
    name: str,
    msgid: int,
    special: dict[str, Any],
    path: list[tuple[str | None, int | None]],
) -> None:
    """Lone surrogates, huge numbers and hidden files come back as they were."""
    context = Context(msgid, 0, name, name, tuple(path), 3, name)
    batch = Batch((context,), [0], [msgid], [1.5], [msg], {0: special}, client=CLIENT, first=1)
    assert columns(decode_batch(encode_batch(batch), None)) == columns(batch)

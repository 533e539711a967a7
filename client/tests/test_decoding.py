"""Frames become the rows again that they were made of."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logd_client.decoding import rows_of_frame
from logd_client.encoding import encode_batch, encode_frame
from logd_client.records import AnyRow, Context

CONTEXTS = [Context((n, 2, f"t{n}", "E", (("a.py", n), (None, None)), 4, "f")) for n in range(300)]
TEXTS = st.text(max_size=5)
VALUES = st.one_of(TEXTS, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none())
ITEMS = st.lists(st.tuples(TEXTS, VALUES), max_size=2).map(lambda pairs: sum(pairs, ()))
ROWS = st.lists(
    st.tuples(
        st.sampled_from(CONTEXTS),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(0.0, 1e10),
        TEXTS,
        ITEMS,
    ),
    min_size=1,
    max_size=20,
)


def plain(rows: list[AnyRow]) -> str:
    """The rows with the fields of their contexts, in a form that tells 1 from True."""
    return repr([(context.fields, *rest) for context, *rest in rows])


@settings(max_examples=200, deadline=None)
@given(rows=ROWS)
def test_rows_come_back(rows: list[AnyRow]) -> None:
    """Whatever is in them: contexts, ids, times, texts with NUL, items of each type."""
    assert plain(rows_of_frame(encode_batch(1, rows))) == plain(rows)


def test_many_contexts_and_shared_items_come_back() -> None:
    """Also with more contexts than a byte counts, and items that rows share."""
    rows: list[AnyRow] = [
        (context, n, 1.0, str(n), ("logger", f"l{n % 3}")) for n, context in enumerate(CONTEXTS)
    ]
    assert plain(rows_of_frame(encode_batch(1, rows))) == plain(rows)


@pytest.mark.parametrize(
    "frame",
    [b"", encode_frame(b"x"), encode_frame(pickle.dumps(("batch", 1))), encode_frame(b"\x80\x04.")],
)
def test_other_bytes_are_an_error(frame: bytes) -> None:
    """What is no batch raises `ValueError`."""
    with pytest.raises(ValueError, match="no batch"):
        rows_of_frame(frame)


def test_nothing_is_looked_up_or_called() -> None:
    """A pickle that names a function is no batch."""
    with pytest.raises(ValueError, match=r"posix.system in a batch|no batch"):
        rows_of_frame(encode_frame(b"cposix\nsystem\n(S'true'\ntR."))

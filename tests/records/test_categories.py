"""Categories as arguments."""

from __future__ import annotations

import pytest

from logd.records.categories import category_set


def test_categories() -> None:
    """A sequence becomes a set, None stays None, and nothing is not everything."""
    assert category_set(["E", "W", "E"]) == {"E", "W"}
    assert category_set(None) is None
    assert category_set([]) == frozenset()


def test_one_text_is_no_sequence_of_categories() -> None:
    """Its letters would be categories that nobody meant."""
    with pytest.raises(TypeError, match="enable: expected a sequence of categories"):
        category_set("EW", "enable")

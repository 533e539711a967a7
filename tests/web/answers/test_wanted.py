"""What a request wants to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.entry import Entry
from logd.web.answers.view import STEPS_S, frame_of
from logd.web.answers.wanted import BadParameter, Parameters, Wanted, wanted

NOW = 1_795_820_400.0


def test_times() -> None:
    """Times are seconds since the epoch, or so long ago."""
    found = wanted({"from": ["-2h"], "to": ["1795820000"]}, now=NOW)
    assert (found.since, found.until) == (NOW - 7200, 1_795_820_000.0)
    assert wanted({}, now=NOW) == Wanted((), None, None)


@pytest.mark.parametrize(
    ("only", "asked", "passes"),
    [
        (["cat:I"], {}, "I"),
        (["cat:I"], {"f": ["cat:E"]}, ""),
        (["cat:I"], {"q": ["cat:E"]}, ""),
        (["cat:I"], {"f": ["cat:I"]}, "I"),
        (["cat:E,I"], {"f": ["cat:E", "cat:D"]}, "E"),
        (["cat:E,I", "cat:E,D"], {}, "E"),
        (["-cat:E"], {"f": ["cat:E"]}, ""),
    ],
)
def test_nobody_asks_beyond_a_limit(only: list[str], asked: Parameters, passes: str) -> None:
    """What a user may see at all holds beside whatever is asked for, also of the same field."""
    selection = wanted(asked, only).selection()
    for found in (selection, selection.without("cat")):
        seen = [cat for cat in "EID" if found.matches(Entry(1.0, "", cat, 1, "", 1, "text"))]
        allowed = [cat for cat in "EID" if wanted({}, only).selection().matches(
            Entry(1.0, "", cat, 1, "", 1, "text"))]  # fmt: skip
        assert set(seen) <= set(allowed)
        assert found is not selection or "".join(seen) == passes


@pytest.mark.parametrize("text", ["x", "-2y", "1e400", "nan", "-1", "١٢", "2 h", "--2h"])
def test_no_times(text: str) -> None:
    """Anything else is refused by the name of the parameter."""
    with pytest.raises(BadParameter, match="from: expected"):
        wanted({"from": [text]}, now=NOW)


def test_conditions_of_the_role_come_first() -> None:
    """What a user may see at all holds whatever else is asked."""
    found = wanted({"f": ["cat:E"]}, only=["logger:shop.*"])
    assert [term.field for term in found.terms] == ["logger", "cat"]


def test_a_filter_can_not_smuggle_a_condition_out() -> None:
    """Excluding is and-ed like everything: nothing takes the role's condition back."""
    found = wanted({"x": ["logger:shop.*"], "q": ["-logger:shop.*"]}, only=["logger:shop.*"])
    assert [term.is_not for term in found.terms] == [False, True, True]


@given(
    st.one_of(st.none(), st.floats(0, 4e9)),
    st.one_of(st.none(), st.floats(0, 4e9)),
    st.integers(1, 1000),
)
def test_frames_cover_what_was_asked(since: float | None, until: float | None, bars: int) -> None:
    """A picture begins and ends at whole bars and covers the time that was asked for."""
    if since is not None and until is not None and since >= until:
        since, until = until, since + 1
    frame = frame_of(Wanted((), since, until), 1_795_000_000.0, bars, NOW)
    assert frame.since % frame.step == 0
    assert (frame.until - frame.since) % frame.step == 0
    assert frame.until > frame.since
    assert until is None or frame.until >= until
    assert (frame.until - frame.since) / frame.step <= bars + 2 or frame.step == STEPS_S[-1]

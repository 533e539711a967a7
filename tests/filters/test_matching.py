"""Records pass or not by a regular expression."""

from __future__ import annotations

import pytest

from logd.daemon.plugins import load_callables
from logd.filters import Matching


@pytest.mark.parametrize(
    ("step", "changes", "dropped"),
    [
        (Matching("he.lo"), {}, True),
        (Matching("HELLO"), {}, False),
        (Matching("HELLO", ignore_case=True), {}, True),
        (Matching("ello$", "keep"), {}, False),
        (Matching("^ello", "keep"), {}, True),
        (Matching("E", field="cat"), {}, True),
        (Matching("Main", field="threadname"), {}, True),
        (Matching("^charge$", field="cfunc"), {}, True),
        (Matching(r"urls\.py\(10\)", field="path"), {}, True),
        (Matching(r"^192\.0\.2\.", field="peer"), {}, True),
        (Matching("ann", field="special.user"), {}, True),
        (Matching("^12$", field="special.n"), {"special": {"n": 12}}, True),
        (Matching("", field="special.absent"), {}, False),
        (Matching("", "keep", field="special.absent"), {}, True),
        (Matching("x", max_chars=5), {"msg": "12345x"}, False),
        (Matching("x", max_chars=6), {"msg": "12345x"}, True),
    ],
)
def test_matches(step, changes, dropped, make_job, run):
    """What matches is dropped, or with "keep" all the rest."""
    assert run(step, make_job(**changes)).dropped is dropped


def test_in_settings(make_job, run):
    """A pattern in settings keeps its plus signs."""
    (step,) = load_callables(["logd.filters:Matching?pattern=^a+b=c$&action=keep"])
    assert not run(step, make_job("aab=c")).dropped
    assert run(step, make_job("a b=c")).dropped


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"pattern": "("}, "pattern"),
        ({"pattern": "x", "action": "skip"}, "'skip'"),
        ({"pattern": "x", "field": "message"}, "special.NAME, got 'message'"),
        ({"pattern": "x", "max_chars": 0}, "max_chars"),
    ],
)
def test_errors(arguments, part):
    """Wrong arguments are refused when the filter is made, not when the first record comes."""
    with pytest.raises(ValueError, match=part):
        Matching(**arguments)

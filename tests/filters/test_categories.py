"""Records pass or not by their category."""

from __future__ import annotations

import pytest

from logd.daemon.plugins import load_callables
from logd.filters import Categories


@pytest.mark.parametrize(
    ("step", "cat", "dropped"),
    [
        (Categories(enable=("E", "W")), "E", False),
        (Categories(enable=("E", "W")), "D", True),
        (Categories(enable=("E", "W")), "", True),
        (Categories(disable=["D"]), "D", True),
        (Categories(disable=["D"]), "DD", False),
        (Categories(disable=["D"]), "", False),
    ],
)
def test_enabled_and_disabled(step, cat, dropped, make_job, run):
    """Only enabled categories pass, or all but the disabled ones."""
    assert run(step, make_job(cat=cat)).dropped is dropped


def test_in_settings(make_job, run):
    """Categories in settings are separated by commas."""
    (step,) = load_callables(["logd.filters:Categories?disable=D,I"])
    assert run(step, make_job(cat="I")).dropped
    assert not run(step, make_job(cat="E")).dropped


def test_either_or():
    """Both lists together, or none of them, or a plain string is an error."""
    with pytest.raises(ValueError, match="either enable or disable"):
        Categories()
    with pytest.raises(ValueError, match="either enable or disable"):
        Categories(("E",), ("D",))
    with pytest.raises(TypeError, match="'EW'"):
        Categories("EW")

"""Rates: averages over spans of time."""

from __future__ import annotations

import pytest

from logd.daemon.rates import Rates


def test_each_span_has_an_average_of_its_own() -> None:
    """A burst shows in the last second at once, and less in longer spans."""
    rates = Rates(0.0)
    for second in range(1, 61):
        rates.add(float(second), 100 * second, 1000 * second)
    rates.add(61.0, 6000 + 700, 60_000 + 7000)
    assert rates.over(1) == (700.0, 7000.0)
    assert rates.over(10) == ((9 * 100 + 700) / 10, (9 * 1000 + 7000) / 10)
    assert rates.over(60) == ((59 * 100 + 700) / 60, (59 * 1000 + 7000) / 60)


def test_samples_that_come_late_count_for_their_real_time() -> None:
    """Rates are right although the loop was held up between two samples."""
    rates = Rates(0.0)
    rates.add(1.3, 130, 0)
    rates.add(2.0, 200, 0)
    assert rates.over(10)[0] == pytest.approx(100)
    assert rates.over(1)[0] == pytest.approx(100)


def test_nothing_measured_is_a_rate_of_zero() -> None:
    """Right after the start there is no rate yet."""
    assert Rates(5.0).over(10) == (0.0, 0.0)

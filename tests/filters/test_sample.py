"""A share of the records stands for all of them."""

from __future__ import annotations

import random

import pytest

from logd.filters import Sample


def test_share(make_job, run):
    """About one in ten passes, each marked with how many it stands for."""
    step = Sample(10, chance=random.Random(7).random)
    kept = [job for job in (run(step, make_job()) for _ in range(5_000)) if not job.dropped]
    assert 400 < len(kept) < 600
    assert all(job.special == {"user": "ann", "one_in": 10} for job in kept)


def test_one_in_one(make_job, run):
    """One in one keeps all."""
    assert not any(run(Sample(1), make_job()).dropped for _ in range(100))


def test_other_categories(make_job, run):
    """Records of other categories pass as they are."""
    job = run(Sample(10, cats=["D"], chance=lambda: 0.99), make_job(cat="E"))
    assert not job.dropped
    assert job.special == {"user": "ann"}


def test_by_key(make_job, run):
    """Records of one request are kept or dropped together, and alike in every daemon."""
    kept = set()
    for request in range(1_000):
        jobs = [make_job(special={"request": f"r{request}"}) for _ in range(3)]
        fates = {run(Sample(10, key="request"), job).dropped for job in jobs}
        assert len(fates) == 1
        if fates == {False}:
            kept.add(request)
    assert 60 < len(kept) < 140


def test_without_key(make_job, run):
    """Records without the key are chosen by chance."""
    assert run(Sample(10, key="request", chance=lambda: 0.5), make_job()).dropped
    assert not run(Sample(10, key="request", chance=lambda: 0.05), make_job()).dropped


def test_errors():
    """A share below one in one, and a plain string for categories, are errors."""
    with pytest.raises(ValueError, match="one_in"):
        Sample(0)
    with pytest.raises(TypeError, match="cats"):
        Sample(2, "D")

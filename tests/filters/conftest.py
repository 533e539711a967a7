"""Records for the tests of filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from logd.records.job import MsgJob

Filter = Callable[[list[MsgJob], object], None]


@pytest.fixture
def run() -> Callable[[Filter, MsgJob], MsgJob]:
    """Runs a filter over a record as the pipeline does, and gives the record back."""

    def run_filter(step: Filter, job: MsgJob) -> MsgJob:
        step([job], None)
        return job

    return run_filter

"""Fixtures of the tests of outputs; puts this folder's helpers within their reach."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.outputs.queues import close_all
from tests.outputs.table_making import Outputs
from tests.outputs.worker_bench import Bench

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def outputs(database: Any, tmp_path: Path) -> Iterator[Outputs]:
    """Outputs on each kind of database."""
    made = Outputs(database, tmp_path)
    yield made
    made.close_all()


@pytest.fixture
def sqlite_outputs(sqlite: Any, tmp_path: Path) -> Iterator[Outputs]:
    """Outputs on SQLite alone, for what does not depend on the database."""
    made = Outputs(sqlite, tmp_path)
    yield made
    made.close_all()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A worker that syncs, not started."""
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def closed_queues() -> Iterator[None]:
    """No test leaves a file of a queue open."""
    yield
    close_all()

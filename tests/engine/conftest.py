from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.engines import Engine, single_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine of one server, for this test alone."""
    with single_engine(tmp_path) as engine:
        yield engine

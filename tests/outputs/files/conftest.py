"""Outputs to files that are closed at the end of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from logd.outputs.files.output import FileOutput


@pytest.fixture
def made() -> Iterator[list[FileOutput]]:
    """Outputs to be closed at the end of a test."""
    outputs: list[FileOutput] = []
    yield outputs
    for output in outputs:
        output.close()

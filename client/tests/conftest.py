"""Lets the tests of the client import what they share: `ack_server`, `wire_examples`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.shared_fixtures import free_port, no_client_is_left

if TYPE_CHECKING:
    from ack_server import AckServer

__all__ = ["free_port", "no_client_is_left", "server"]

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def server() -> Iterator[AckServer]:
    """A server that behaves."""
    from ack_server import AckServer

    with AckServer() as made:
        yield made

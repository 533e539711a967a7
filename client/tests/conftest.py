"""Lets the tests of the client import what they share: `ack_server`, `wire_examples`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.shared_fixtures import free_port, no_client_is_left

__all__ = ["free_port", "no_client_is_left"]

sys.path.insert(0, str(Path(__file__).parent))

"""Hosts that can only be this machine."""

from __future__ import annotations

import pytest

from logd.settings.loopback import is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost.",
        "ip6-localhost",
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "[::1]",
        "::1%lo",
    ],
)
def test_this_machine(host: str) -> None:
    """Its names and addresses, however they are written."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "10.0.0.1", "localhost.evil.example", "0.0.0.0", "::", "fe80::1%eth0", "x"]
)
def test_other_hosts(host: str) -> None:
    """Addresses of networks, all addresses at once, and names that only look alike."""
    assert not is_loopback(host)

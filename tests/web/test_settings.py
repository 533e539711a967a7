"""Who is believed by whom."""

from __future__ import annotations

import pytest

from logd.settings.loading import load
from logd.settings.sources import Sources
from logd.web.settings import sender

CONFIG = load(Sources({"web_trusted_proxies": ("10.0.0.0/8", "::1")}, {}, None)).config


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        ("::1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["evil\n"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3,"], "10.0.0.1"),
        ("", ["203.0.113.9"], ""),
    ],
)
def test_who_asks(peer: str, forwarded: list[str], found: str) -> None:
    """What a trusted proxy says counts, from the last hop on; what strangers say does not."""
    assert sender(CONFIG, peer, forwarded) == found

"""Whether a host is this machine itself, as far as its name or address says."""

from __future__ import annotations

import ipaddress

_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def is_loopback(host: str) -> bool:
    """Whether a name or an address (in brackets, with a zone) can only be this machine.

    Names are not looked up: those of the machine itself may lead to any of its addresses.
    """
    name = host.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower().rstrip(".") in _NAMES

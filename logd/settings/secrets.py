"""Passwords in addresses and arguments, hidden before they are shown to anyone. Pure."""

from __future__ import annotations

import re

MASK = "***"
"""Stands where a password was."""

_USER_PASSWORD = re.compile(r"(?<=://)([^/?#\s:@]*):([^/?#\s]*)@")
_QUERY_PASSWORD = re.compile(
    r"((?:^|[?&;])\w*(?:pass|password|passwd|passphrase|pwd|pw|token|secret|api_?key)=)[^&;#\s]*",
    re.IGNORECASE,
)
_MASKED = re.compile(r":\*{3}@|=\*{3}(?:[&;#]|$)")


def without_secrets(address: str) -> str:
    """The address of a database or output, or a plugin with arguments; `MASK` for passwords."""
    address = _USER_PASSWORD.sub(rf"\1:{MASK}@", address)
    return _QUERY_PASSWORD.sub(rf"\1{MASK}", address)


def is_without_secrets(address: str) -> bool:
    """Whether a password was taken out of it, so that it is of no use any more."""
    return _MASKED.search(address) is not None

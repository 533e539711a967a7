"""Whether a first frame may begin a connection. Pure."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from logd.wire.session import PROTOCOL_VERSION, Opening, Refusal


class Rejection(NamedTuple):
    """Why a connection is not let in.

    Attributes:
        refusal: what a session is told.
        reason: what the daemon's own log says.
    """

    refusal: Refusal
    reason: str


def rejection(opening: Opening | None, token: str | None) -> Rejection | None:
    """Why a first frame is not let in; None if it is.

    Args:
        opening: what it opens; None for senders without a session.
        token: what an opening must show; None if nothing.
    """
    if opening is not None and opening.version != PROTOCOL_VERSION:
        text = f"session protocol {opening.version}, this daemon speaks {PROTOCOL_VERSION}"
        return Rejection(Refusal.VERSION, text)
    if token is None:
        return None
    given = opening.token if opening is not None else None
    if given is None:
        return Rejection(Refusal.TOKEN, "no token")
    if not hmac.compare_digest(_bytes_of(given), _bytes_of(token)):
        return Rejection(Refusal.TOKEN, "wrong token")
    return None


def _bytes_of(token: str) -> bytes:
    """What a peer sends for a token may hold lone surrogates, which have no UTF-8 form."""
    return token.encode("utf-8", "surrogatepass")

"""Who may begin a connection."""

from __future__ import annotations

import pytest

from logd.daemon.peers.admission import rejection
from logd.wire.session import PROTOCOL_VERSION, Opening, Refusal


def opening(token: str | None = None, version: int = PROTOCOL_VERSION) -> Opening:
    """What a client says first."""
    return Opening(version, b"c" * 16, 1, token)


@pytest.mark.parametrize(
    ("first", "token", "refusal"),
    [
        (None, None, None),
        (opening(), None, None),
        (opening("any"), None, None),
        (opening("the token"), "the token", None),
        (opening("t\u00f6ken \udc80"), "t\u00f6ken \udc80", None),
        (None, "the token", Refusal.TOKEN),
        (opening(), "the token", Refusal.TOKEN),
        (opening(""), "the token", Refusal.TOKEN),
        (opening("another"), "the token", Refusal.TOKEN),
        (opening("the token", 99), "the token", Refusal.VERSION),
        (opening(version=99), None, Refusal.VERSION),
    ],
)
def test_first_frames_are_let_in_or_not(
    first: Opening | None, token: str | None, refusal: Refusal | None
) -> None:
    """Only the token itself opens a daemon that has one, and only the protocol that it speaks."""
    rejected = rejection(first, token)
    assert (rejected and rejected.refusal) == refusal

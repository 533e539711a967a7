"""When bad frames are a flood."""

from __future__ import annotations

from logd.daemon.peers.badframes import GOOD_FOR_A_BAD, MAX_BAD_FRAMES, BadFrames


def test_bad_frames_without_good_ones_are_a_flood() -> None:
    """One more than allowed is a flood."""
    bad_frames = BadFrames()
    assert [bad_frames.bad() for _ in range(MAX_BAD_FRAMES + 1)] == [False] * MAX_BAD_FRAMES + [
        True
    ]


def test_good_frames_make_up_for_bad_ones() -> None:
    """A sender whose every eleventh frame is bad may go on for ever; one of each ten may not."""
    bad_frames = BadFrames()
    for _ in range(1000):
        assert not bad_frames.bad()
        bad_frames.good(GOOD_FOR_A_BAD)
    for _ in range((MAX_BAD_FRAMES - 1) * 10):
        assert not bad_frames.bad()
        bad_frames.good(GOOD_FOR_A_BAD - 1)
    assert any(bad_frames.bad() for _ in range(20))

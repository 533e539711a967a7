"""Gathering: few records wait a little for more, but for those whose sender waits."""

from __future__ import annotations

from logd.daemon.gathering import ANSWER_S, ANSWERS_IN_A_ROW, Lockstep


def test_a_sender_that_answers_each_ack_is_seen_to_wait() -> None:
    """Records that follow their acks at once, several times in a row, show that somebody waits."""
    lockstep = Lockstep()
    for turn in range(ANSWERS_IN_A_ROW):
        assert not lockstep.is_awaiting
        lockstep.acked(float(turn))
        lockstep.received(turn + ANSWER_S / 2)
    assert lockstep.is_awaiting


def test_late_answers_are_looked_at_once_more() -> None:
    """Records that are read late may be answers; several in a row call for a look without delay."""
    lockstep = Lockstep()
    for turn in range(1, ANSWERS_IN_A_ROW + 1):
        lockstep.acked(float(turn))
        is_pattern = lockstep.received_late(turn + 0.5, 0.5, is_all_acked=True)
        assert is_pattern == (turn == ANSWERS_IN_A_ROW)
    for _ in range(ANSWERS_IN_A_ROW):
        lockstep.acked(9.0)
        assert not lockstep.received_late(9.6, 0.5, is_all_acked=True)
        assert not lockstep.received_late(9.1, 0.5, is_all_acked=True)
        assert not lockstep.received_late(9.1, 0.5, is_all_acked=False)
    assert not lockstep.is_awaiting


def test_a_sender_that_goes_its_own_pace_does_not_wait() -> None:
    """One record that has nothing to do with an ack takes the sender for one that does not wait."""
    lockstep = Lockstep()
    for turn in range(ANSWERS_IN_A_ROW):
        lockstep.acked(float(turn))
        lockstep.received(float(turn))
    lockstep.received(ANSWERS_IN_A_ROW + 0.5)
    assert not lockstep.is_awaiting

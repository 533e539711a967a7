"""Marks: how far each session was written."""

from __future__ import annotations

from logd.outputs.marks import MAX_AGE_S, PLACE_PREFIX, Marks

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def test_highest_number_counts() -> None:
    """A mark only rises."""
    marks = Marks()
    assert marks.get(A) == 0
    marks.note(A, 5, 1.0)
    marks.note(A, 3, 2.0)
    marks.note(B, 1, 2.0)
    assert marks.numbers() == {A: 5, B: 1}
    assert marks.items() == [(A, 5, 2.0), (B, 1, 2.0)]
    assert Marks(marks.items()).items() == marks.items()


def test_unseen_for_longest_goes_first() -> None:
    """Beyond the limit the session that was seen last before all others is dropped."""
    marks = Marks(limit=2)
    marks.note(A, 1, 1.0)
    marks.note(B, 1, 2.0)
    marks.note(A, 2, 3.0)
    marks.note(C, 1, 4.0)
    assert marks.numbers() == {A: 2, C: 1}
    assert len(marks) == 2


def test_a_limit_that_comes_later_holds_at_once() -> None:
    """Those unseen for longest go; how far a log has come in a source is no session, and stays."""
    place = PLACE_PREFIX + b":" + bytes(10)
    marks = Marks([(place, 7, 0.0), (A, 1, 1.0), (B, 1, 2.0), (C, 1, 3.0)])
    marks.limit_to(2)
    assert marks.numbers() == {place: 7, C: 1}
    marks.note(A, 2, 4.0)
    assert marks.numbers() == {place: 7, A: 2}


def test_old_sessions_are_pruned() -> None:
    """Unseen for a day is gone; unknown ones may be forgotten."""
    marks = Marks()
    marks.note(A, 1, 0.0)
    marks.note(B, 1, 10.0)
    marks.prune(MAX_AGE_S)
    assert len(marks) == 2
    marks.prune(MAX_AGE_S + 5)
    assert marks.numbers() == {B: 1}
    marks.forget([A, B])
    assert len(marks) == 0


def test_while_no_daemon_ran_nobody_grew_older() -> None:
    """After a weekend without the daemon its senders still hold what they had on Friday."""
    marks = Marks([(A, 1, 0.0), (B, 2, MAX_AGE_S + 5), (C, 3, 2 * MAX_AGE_S)])
    marks.take_up(5 * MAX_AGE_S)
    assert marks.numbers() == {B: 2, C: 3}
    assert marks.items()[-1] == (C, 3, 5 * MAX_AGE_S)
    marks.prune(5 * MAX_AGE_S + 10)
    assert marks.numbers() == {C: 3}
    empty = Marks()
    empty.take_up(1.0)
    assert len(empty) == 0

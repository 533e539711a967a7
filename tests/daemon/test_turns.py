"""Whose delivery is decoded next."""

from __future__ import annotations

from logd.daemon.turns import Turns


def drained(turns: Turns[str, int]) -> list[tuple[str, int]]:
    """All that waits, in the order of its turns."""
    taken = []
    while (turn := turns.take()) is not None:
        taken.append(turn)
    return taken


def test_deliveries_come_in_the_order_they_were_taken() -> None:
    """Without anything slow the first taken is the first decoded."""
    turns: Turns[str, int] = Turns()
    turns.add([("a", 1), ("b", 2), ("a", 3)])
    assert turns
    assert drained(turns) == [("a", 1), ("b", 2), ("a", 3)]
    assert not turns


def test_what_is_left_of_a_slow_delivery_waits_behind_all_others() -> None:
    """The rest goes before its connection's next ones, and all of them after the others'."""
    turns: Turns[str, int] = Turns()
    turns.add([("slow", 1), ("slow", 2), ("a", 1), ("slow", 3)])
    assert turns.take() == ("slow", 1)
    turns.put_back("slow", 10)
    turns.add([("b", 1), ("slow", 4), ("a", 2)])
    assert drained(turns) == [
        *[("a", 1), ("b", 1), ("a", 2)],
        *[("slow", 10), ("slow", 2), ("slow", 3), ("slow", 4)],
    ]
    turns.add([("slow", 5), ("a", 3)])
    assert drained(turns) == [("slow", 5), ("a", 3)]


def test_slow_connections_take_turns() -> None:
    """Of several slow ones each goes on in turn."""
    turns: Turns[str, int] = Turns()
    turns.add([("a", 1), ("b", 1)])
    for number in range(1, 4):
        for name in "ab":
            assert turns.take() == (name, number)
            turns.put_back(name, number + 1)
    assert drained(turns) == [("a", 4), ("b", 4)]

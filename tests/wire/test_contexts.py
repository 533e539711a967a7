"""Contexts, checked by columns, with paths that are found again: as if checked one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.context import Context
from logd.wire import WireError
from logd.wire.contexts import MAX_KNOWN_CHARS, KnownContexts

PLACE = (4711, 17, "main", "E", (("a.py", 1), (None, None)), 5, "f")


def outcome(known: KnownContexts, value: object) -> str:
    """What comes of a value, with all types to be seen."""
    try:
        return repr(known.checked(value))
    except WireError as exc:
        return exc.reason


def again(**fields: Any) -> tuple[Any, ...]:
    """`PLACE` with other values, made anew as an unpickler does."""
    return tuple(Context(*PLACE)._replace(**fields))


def test_a_path_that_comes_again_is_the_same_object() -> None:
    """Equal call paths of two batches are one, whoever sent them."""
    known = KnownContexts()
    first, chars = known.checked((again(),))
    second, more_chars = known.checked((again(cat="I", path=()), again(pid=1)))
    assert second[1].path is first[0].path
    assert first == [Context(*PLACE)]
    assert type(first[0]) is Context
    assert chars == [more_chars[1]]


@pytest.mark.parametrize(
    "value",
    [
        again(pid=True),
        again(tblen=5.0),
        again(path=(("a.py", True), (None, None))),
        again(path=(("a.py", 1.0), (None, None))),
        again(path=[("a.py", 1), (None, None)]),
        again(path=(["a.py", 1], (None, None))),
        again(path=("a.py", 1, None, None)),
        again(path=(("a.py", 1, None), (None,))),
        again(path=None),
        again(threadname=b"main"),
        again(cat=None),
        PLACE[:6],
        (*PLACE, 1),
        list(PLACE),
        None,
    ],
    ids=repr,
)
def test_what_only_equals_a_known_context_is_checked(value: object) -> None:
    """Other types than those of a known context lead to what they lead to without it."""
    known = KnownContexts()
    known.checked((PLACE, again(path=())))
    assert outcome(known, (value,)) == outcome(KnownContexts(), (value,))
    assert outcome(known, (PLACE, value)) == outcome(KnownContexts(), (PLACE, value))


@pytest.mark.parametrize("place", ["path", "level", "name", "threadname", "item"])
def test_a_tangle_is_refused_in_no_time(place: str) -> None:
    """What shares itself on sixty levels would take ages to hash; it is not hashed."""
    tangle: Any = ()
    for _ in range(60):
        tangle = (tangle, tangle)
    value = {
        "path": again(path=tangle),
        "level": again(path=(tangle,)),
        "name": again(path=((tangle, 1),)),
        "threadname": again(threadname=tangle),
        "item": tangle,
    }[place]
    with pytest.raises(WireError):
        KnownContexts().checked((PLACE, value))


def test_long_paths_are_not_kept() -> None:
    """A path longer than the limit is checked each time."""
    known = KnownContexts()
    value = (
        again(path=tuple((f"{'x' * 100}{level}.py", 1) for level in range(MAX_KNOWN_CHARS // 100))),
    )
    first, second = known.checked(value)[0], known.checked(value)[0]
    assert first == second
    assert first[0].path is not second[0].path


leaves = st.sampled_from([None, True, 0, 1, 1.0, 2**63, "", "a.py", "x" * 2000, b"a"])
paths = (
    st.lists(st.tuples(leaves, leaves) | st.lists(leaves, max_size=3) | leaves, max_size=3).map(
        tuple
    )
    | leaves
)
contexts = st.tuples(leaves, leaves, leaves, leaves, paths, leaves, leaves) | st.lists(leaves)
good = st.tuples(
    st.integers(0, 1), st.just(1), st.just("main"), st.just("E"),
    st.lists(st.tuples(st.sampled_from(["a.py", None]), st.integers(0, 1)), max_size=2).map(tuple),
    st.just(0), st.just("f"),
)  # fmt: skip


@given(st.lists(st.lists(good | good | contexts, max_size=4).map(tuple), max_size=4))
def test_what_is_known_changes_nothing(batches: list[tuple[object, ...]]) -> None:
    """Batch after batch gives what it gives by itself."""
    known = KnownContexts()
    for value in batches:
        assert outcome(known, value) == outcome(KnownContexts(), value)


def test_a_lone_context_is_known_by_its_types_too() -> None:
    """True is not taken for a 1 that was there before, in a level's line or as a process id."""
    known = KnownContexts()
    place = again(pid=1, path=(("a.py", 1),))
    assert outcome(known, (place,)) == outcome(known, (again(pid=1, path=(("a.py", 1),)),))
    for hostile in (again(pid=True, path=(("a.py", 1),)), again(pid=1, path=(("a.py", True),))):
        assert outcome(known, (hostile,)) == outcome(KnownContexts(), (hostile,))

"""Tracebacks in messages, and what two of the same cause have in common."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from logd.query.tracebacks import exception_types, exceptions, fingerprint, has_traceback, title

OLD = """it failed
Traceback (most recent call last):
  File "/srv/shop/views.py", line 42, in charge
    pay(order)
  File "/usr/lib/python2.7/urllib2.py", line 154, in urlopen
    return opener.open(url)
  File "/srv/shop/pay.py", line 9, in pay
    raise Declined(order)
shop.pay.Declined: order 7
is declined"""


def raised(function: Callable[[], object]) -> str:
    """The message of an exception, as programs log it."""
    try:
        function()
    except BaseException:
        return f"it failed\n{traceback.format_exc()}"
    raise AssertionError("nothing was raised")


def deep(depth: int) -> None:
    """Raise from as many calls of itself."""
    if depth:
        deep(depth - 1)
    raise ValueError("no\nmore")


def chained() -> None:
    """Raise one exception because of another."""
    try:
        deep(2)
    except ValueError as error:
        raise KeyError("x") from error


def test_what_a_traceback_tells() -> None:
    """Type, text and the program's own frames of the last exception are found."""
    found = exceptions(OLD)
    assert [error.type for error in found] == ["shop.pay.Declined"]
    assert list(map(str, found[0].own_frames)) == ["views.py:charge", "pay.py:pay"]
    assert title(OLD) == "shop.pay.Declined: order 7 (pay.py:pay)"


def test_chains() -> None:
    """The last exception of a chain counts; all types are known."""
    message = raised(chained)
    assert exception_types(message) == ["ValueError", "KeyError"]
    assert title(message).startswith("KeyError: 'x' (test_tracebacks.py:chained)")


def test_the_fingerprint_ignores_lines_and_depth() -> None:
    """The same cause has one fingerprint: other lines, values, folders and depths don't matter."""
    assert fingerprint(raised(lambda: deep(2))) == fingerprint(raised(lambda: deep(5)))
    moved = OLD.replace("line 42", "line 43").replace("/srv/shop", "/srv/shop2").replace("7", "8")
    assert fingerprint(moved) == fingerprint(OLD)
    assert fingerprint(OLD.replace("Declined", "Refused")) != fingerprint(OLD)
    assert fingerprint(OLD).startswith("1:")


def test_groups() -> None:
    """A group counts by its type and the exceptions in it, in whatever order they came."""

    def group(*errors: Exception) -> str:
        def function() -> None:
            raise ExceptionGroup("outer", errors)

        return raised(function)

    inner = ExceptionGroup("inner", [OSError("never raised"), KeyError("x")])
    message = group(inner, TypeError("bare"))
    assert set(exception_types(message)) == {
        "ExceptionGroup", "OSError", "KeyError", "TypeError",
    }  # fmt: skip
    assert len(exceptions(message)) == 1
    assert fingerprint(message) == fingerprint(group(TypeError("other"), inner))
    assert fingerprint(message) != fingerprint(group(inner))


def test_without_a_traceback() -> None:
    """Other messages count by the place that logged them."""
    assert not has_traceback("all is well")
    assert fingerprint("a", "views.py(1)") == fingerprint("b", "views.py(1)")
    assert fingerprint("a", "views.py(1)") != fingerprint("a", "views.py(2)")
    assert title("first\nsecond", "views.py(1)") == "views.py(1): first"


@given(st.text() | st.lists(st.sampled_from([*OLD.splitlines(), "  | a", "  +-+---- 1 ----", ""])))
def test_any_text(text: str | list[str]) -> None:
    """Whatever a message has in it, there is an answer."""
    message = text if isinstance(text, str) else "\n".join(text)
    assert fingerprint(message).startswith("1:")
    title(message)

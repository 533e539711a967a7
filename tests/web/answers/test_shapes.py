"""Messages cut at their tracebacks."""

from __future__ import annotations

import sys
import traceback

from hypothesis import given
from hypothesis import strategies as st

from logd.web.answers.owncode import OwnCode
from logd.web.answers.shapes import parts


def _raised(function: object) -> str:
    try:
        function()  # type: ignore[operator]
    except Exception:
        return traceback.format_exc().rstrip("\n")
    raise AssertionError


def test_a_chain() -> None:
    """Both exceptions of a chain are there, with what stands between them."""

    def both() -> None:
        try:
            raise KeyError("vat_id")
        except KeyError as exc:
            raise ValueError("no invoice") from exc

    shown = parts(f"checkout failed\n{_raised(both)}", OwnCode())
    kinds = ["text", "frames", "exception", "between", "frames", "exception"]
    assert [part["kind"] for part in shown] == kinds
    assert shown[2]["text"] == "KeyError: 'vat_id'"
    assert shown[3]["text"].startswith("The above exception was the direct cause")
    assert shown[5]["text"] == "ValueError: no invoice"
    assert all(frame["own"] for frame in shown[1]["frames"])


def test_frames_have_their_code() -> None:
    """A frame has its file, line and function, and the lines of code under it."""
    frames = parts(_raised(lambda: 1 / 0), OwnCode())[0]["frames"]
    assert frames[-1]["file"] == __file__
    assert frames[-1]["func"] == "<lambda>"
    assert "1 / 0" in frames[-1]["code"][0]
    assert isinstance(frames[-1]["line"], int)
    assert sys.version_info >= (3, 11)


def test_what_follows_a_traceback_is_text() -> None:
    """Text behind an exception is shown as such."""
    shown = parts(f"{_raised(lambda: 1 / 0)}\n\nthe order was kept", OwnCode())
    assert shown[-1] == {"kind": "text", "text": "the order was kept"}


@given(st.text())
def test_any_text_is_shown(msg: str) -> None:
    """Nothing of a message without a traceback is lost but empty lines around it."""
    shown = parts(msg, OwnCode())
    assert len(shown) <= 1
    text = shown[0]["text"] if shown else ""
    assert text.strip() == msg.strip("\n").strip() or not msg.strip()


@given(st.lists(st.sampled_from([
    "Traceback (most recent call last):", '  File "a.py", line 3, in f', "    x = 1", "    ^^^",
    "ValueError: x", "", "text", "During handling of the above exception, another occurred:",
    "  + Exception Group Traceback (most recent call last):", "  |   File \"b.py\", line 1, in g",
]), max_size=20))  # fmt: skip
def test_any_order_of_lines(lines: list[str]) -> None:
    """Tracebacks that are torn or mixed are shown somehow, never an error."""
    for part in parts("\n".join(lines), OwnCode()):
        assert part["kind"] in ("text", "frames", "exception", "between")

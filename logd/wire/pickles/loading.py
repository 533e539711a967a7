"""Turns a pickle from the net into plain data, the fastest way that is safe for it."""

from __future__ import annotations

from logd.wire.errors import TooLongError
from logd.wire.pickles import machine, unpickler


def load(payload: bytes, proven: bytes | None) -> object:
    """The value of a pickle.

    Args:
        payload: the pickle.
        proven: what a function of `grammar` returned for it: None if it proved nothing.

    Raises:
        WireError: it is broken, or more than plain data, or exceeds a bound.
    """
    if proven is not None:
        try:
            return unpickler.run(proven)
        except UnicodeDecodeError:
            # Text of Python 2 in some other encoding, most likely: escaping what is not UTF-8
            # takes time that only the machine bounds.
            pass
    return machine.run(payload)


def load_record(payload: bytes, proven: bytes | None) -> object:
    """The same; of a dict that takes too much work the beginning, with an item that says so."""
    try:
        return load(payload, proven)
    except TooLongError as exc:
        if exc.beginning is None:
            raise
        exc.beginning.pairs += ("...", f"[... the rest: {exc.reason}]")
        return exc.beginning

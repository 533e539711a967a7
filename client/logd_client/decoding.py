"""Turns frames of the session protocol back into rows: the reverse of `encoding.py`.

Only for frames that this client made itself: those that the server finds too large, and those that
were not delivered before the end of the process.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from typing import Any

from logd_client.records import AnyRow, Context, Items

__all__ = ["rows_of_frame"]

_LENGTH_BYTES = 4


class _PlainUnpickler(pickle.Unpickler):
    """Makes nothing but tuples, texts, bytes and numbers: a frame may come from a file."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} in a batch")


def rows_of_frame(frame: bytes) -> list[AnyRow]:
    """The rows of a batch, in order.

    Raises:
        ValueError: it is no batch.
    """
    try:
        batch = _PlainUnpickler(io.BytesIO(frame[_LENGTH_BYTES:])).load()
        _, _, count, contexts, index, msgids, times, msgs, specials = batch
        found = [Context(fields) for fields in contexts]
        items = _items_of(specials)
        return [
            (found[place], msgid, when, msg, items.get(row, ()))
            for row, (place, msgid, when, msg) in enumerate(
                zip(
                    _numbers(index, count, len(found)),
                    range(msgids, msgids + count)
                    if isinstance(msgids, int)
                    else struct.unpack(f">{count}q", msgids),
                    struct.unpack(f">{count}d", times),
                    msgs.split("\0") if isinstance(msgs, str) else msgs,
                )
            )
        ]
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        struct.error,
    ) as exc:
        raise ValueError(f"no batch: {exc}") from exc


def _numbers(index: bytes, count: int, contexts: int) -> Sequence[int]:
    if not index:
        return bytes(count)
    return index if contexts <= 256 else struct.unpack(f">{count}H", index)


def _items_of(specials: Sequence[tuple[Any, ...]]) -> dict[int, Items]:
    items: dict[int, Items] = {}
    for rows, *flat in specials:
        numbers = struct.unpack(f">{len(rows) // 2}H", rows) if isinstance(rows, bytes) else (rows,)
        items.update(dict.fromkeys(numbers, tuple(flat)))
    return items

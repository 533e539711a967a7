"""A batch as bytes, for the disk and for other daemons: a MessagePack array of its columns.

Everything that a batch may hold comes back as it was: lone surrogates and integers of any size,
which MessagePack as such can't hold, are extensions 1 and 2. Items that records share are written
once. Batches of earlier versions have two columns less, the last ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from logd.records.batch import Batch
from logd.records.callpath import PathFormatter
from logd.records.context import Context, ContextItems, Special

_SURROGATES = 1
_BIG_INTEGER = 2


def encode_batch(batch: Batch, *, has_ts: bool = True) -> bytes:
    """All of a batch but its formatter; without the texts of its times if they are not wanted."""
    special = batch.special
    shared = None
    if isinstance(special, ContextItems):
        shared = list(map(_flat, special.shared))
        special = special.own
    items = (
        [tuple(context) for context in batch.contexts],
        list(batch.index),
        list(batch.msgid),
        list(batch.time),
        list(batch.msg),
        {row: _flat(items) for row, items in special.items()},
        batch.peer,
        batch.client,
        batch.first,
        None if batch.ts is None or not has_ts else list(batch.ts),
        None if batch.sequence is None else list(batch.sequence),
        batch.last,
        batch.floor,
        shared,
    )
    try:
        return msgspec.msgpack.encode(items)
    except (UnicodeEncodeError, OverflowError):
        return msgspec.msgpack.encode(_fitted(items))


def _flat(items: Special) -> list[str | int]:
    """Value after key: an extension, which a key may have to be, is no key of a dict."""
    return list(chain.from_iterable(items.items()))


def _fitted(item: Any) -> Any:
    """`item` with what MessagePack can't hold as extensions."""
    match item:
        case str():
            try:
                item.encode()
            except UnicodeEncodeError:
                return msgspec.msgpack.Ext(_SURROGATES, item.encode("utf-8", "surrogatepass"))
        case int() if not -(2**63) <= item < 2**63:
            return msgspec.msgpack.Ext(_BIG_INTEGER, b"%x" % item)
        case dict():
            return {key: _fitted(value) for key, value in item.items()}
        case list() | tuple():
            return [_fitted(part) for part in item]
    return item


def _extension(code: int, data: memoryview) -> Any:
    if code == _SURROGATES:
        return bytes(data).decode("utf-8", "surrogatepass")
    return int(bytes(data), 16)


def decode_batch(payload: bytes, formatter: PathFormatter | None) -> Batch:
    """The batch that `encode_batch` made `payload` of.

    Raises:
        ValueError, TypeError, msgspec.DecodeError: it did not.
    """
    contexts, index, msgid, time, msg, special, peer, client, first, ts, sequence, last, *more = (
        msgspec.msgpack.decode(payload, ext_hook=_extension)
    )
    floor, shared = more or (0, None)
    items: Mapping[int, Special] = {row: _unflat(flat) for row, flat in special.items()}
    if shared is not None:
        items = ContextItems(list(map(_unflat, shared)), index, items)
    return Batch(
        tuple(_context(*context) for context in contexts),
        index,
        msgid,
        time,
        msg,
        items,
        peer=peer,
        client=client,
        first=first,
        floor=floor,
        ts=ts,
        formatter=formatter,
        sequence=sequence,
        last=last if client is not None else None,
    )


def _unflat(flat: Sequence[Any]) -> Special:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _context(
    pid: int,
    tid: int,
    threadname: str,
    cat: str,
    path: list[list[Any]],
    tblen: int,
    cfunc: str,
) -> Context:
    steps = tuple((name, line) for name, line in path)
    return Context(pid, tid, threadname, cat, steps, tblen, cfunc)

"""What an output could not be given before the daemon had to stop, kept for the next start.

The file is a magic line and then batches: length and CRC-32 of the payload, 4 bytes each, little
endian, then the payload, a MessagePack array. Batches that came without a session get one of the
spool's own, so that the output's marks tell, after a crash while the spool is written out, what
was written already.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path as FilePath
from typing import Any

import msgspec

from logd.outputs.disk import make_folder, sync_folder
from logd.outputs.failpoints import failpoint
from logd.records.batch import Batch, Context
from logd.records.callpath import PathFormatter

_MAGIC = b"logd spool 1\n"
_FRAME = struct.Struct("<II")
_MODE = 0o640
_CLIENT_BYTES = 16

# What MessagePack as such can't hold.
_SURROGATES = 1
_BIG_INTEGER = 2


class Spool:
    """The spool of one output. Not locked: belongs to the thread that writes to the output.

    Args:
        path: the file; its folder is made where it is missing.
        formatter: given to the batches that are read, see `Batch.formatter`.
    """

    def __init__(self, path: FilePath, *, formatter: PathFormatter | None = None) -> None:
        self.path = path
        self._formatter = formatter

    def append(self, batches: Sequence[Batch]) -> None:
        """Keep batches behind those that are there; they are on disk when this returns.

        Raises:
            OSError: the disk refused; none of them is kept.
        """
        make_folder(self.path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, _MODE)
        with os.fdopen(descriptor, "rb+", buffering=0) as file:
            size, client, last = self._end()
            os.ftruncate(descriptor, size)
            pieces = [] if size else [_MAGIC]
            for batch in batches:
                if batch.client is None:
                    batch = batch.in_session(client, last + 1)
                    last = batch.last
                payload = _encode(batch)
                pieces.append(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
            failpoint("spool.before_write")
            try:
                view = memoryview(b"".join(pieces))
                while view:
                    view = view[file.write(view) :]
                failpoint("spool.before_sync")
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
            sync_folder(self.path.parent)
            failpoint("spool.after_sync")

    def batches(self) -> Iterator[Batch]:
        """What is kept, in its order; nothing where there is no spool.

        A batch that was not whole when the machine stopped ends it: nobody was told it was kept.

        Raises:
            OSError: the file can't be read.
        """
        for _, batch in self._read():
            yield batch

    def clear(self) -> None:
        """Everything was written: remove the file, for good when this returns."""
        failpoint("spool.before_clear")
        try:
            self.path.unlink()
        except FileNotFoundError:
            return
        sync_folder(self.path.parent)
        failpoint("spool.after_clear")

    def _end(self) -> tuple[int, bytes, int]:
        """Where the last whole batch ends, and the spool's own session with its last number."""
        end, client, last = 0, b"", 0
        for end, batch in self._read():  # noqa: B007
            if batch.client is not None and batch.client.startswith(b"spool:"):
                client, last = batch.client, batch.last
        return end, client or b"spool:" + secrets.token_bytes(_CLIENT_BYTES - 6), last

    def _read(self) -> Iterator[tuple[int, Batch]]:
        """Each batch with the place in the file where it ends."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            return
        with os.fdopen(descriptor, "rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return
            while len(head := file.read(_FRAME.size)) == _FRAME.size:
                length, checksum = _FRAME.unpack(head)
                payload = file.read(length)
                if len(payload) < length or zlib.crc32(payload) != checksum:
                    return
                yield file.tell(), _decode(payload, self._formatter)


def _encode(batch: Batch) -> bytes:
    items = (
        [tuple(context) for context in batch.contexts],
        list(batch.index),
        list(batch.msgid),
        list(batch.time),
        list(batch.msg),
        # Flat, value after key: an extension, which a key may have to be, is no key of a dict.
        {row: list(chain.from_iterable(items.items())) for row, items in batch.special.items()},
        batch.peer,
        batch.client,
        batch.first,
        None if batch.ts is None else list(batch.ts),
        None if batch.sequence is None else list(batch.sequence),
        batch.last,
    )
    try:
        return msgspec.msgpack.encode(items)
    except (UnicodeEncodeError, OverflowError):
        return msgspec.msgpack.encode(_fitted(items))


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


def _decode(payload: bytes, formatter: PathFormatter | None) -> Batch:
    contexts, index, msgid, time, msg, special, peer, client, first, ts, sequence, last = (
        msgspec.msgpack.decode(payload, ext_hook=_extension)
    )
    return Batch(
        tuple(_context(*context) for context in contexts),
        index,
        msgid,
        time,
        msg,
        {row: dict(zip(flat[::2], flat[1::2], strict=True)) for row, flat in special.items()},
        peer=peer,
        client=client,
        first=first,
        ts=ts,
        formatter=formatter,
        sequence=sequence,
        last=last if client is not None else None,
    )


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

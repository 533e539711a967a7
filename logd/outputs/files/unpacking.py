"""Reads what is compressed: by the daemon (gzip, zstd), or by hand (xz, bzip2, too).

An operator's script may have compressed a file of the log with whatever was at hand. Such a file
belongs to the log all the same: it is found, counted and removed in its turn.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from logd.outputs.files import zstd

DAMAGED = (EOFError, ValueError, zlib.error, zstd.ZstdError, lzma.LZMAError, gzip.BadGzipFile)
"""What reading a compressed file may raise, beside OSError, if it is not whole."""

_GZIP_WINDOW = 31  # with gzip's header and checksum
_COMPRESSED_BYTES = 1 << 11
"""So little of a compressed file is taken at once: what comes out may be a thousand times as much,
or, of a hostile .zst, thirty thousand times."""

_MAX_XZ_BYTES = 256 << 20
"""Memory for one .xz: its best compression takes 65 MiB, a hostile header asks for gigabytes."""


class Inflater(Protocol):
    """Decompresses one stream."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, size: int = ..., /) -> bytes: ...


class Unpacked(Protocol):
    """The content of a compressed file."""

    def read(self, size: int, /) -> bytes: ...


def inflater(suffix: str) -> Inflater:
    """What decompresses a stream of a file with this suffix."""
    if suffix == ".gz":
        return zlib.decompressobj(_GZIP_WINDOW)
    if suffix == ".xz":
        return lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)
    if suffix == ".bz2":
        return bz2.BZ2Decompressor()
    return zstd.ZstdDecompressor()


def unpacked_file(file: BinaryIO, suffix: str) -> Unpacked:
    """A compressed file as what it holds, read from its begin."""
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=file)
    if suffix == ".xz":
        return lzma.LZMAFile(file)
    if suffix == ".bz2":
        return bz2.BZ2File(file)
    return zstd.ZstdFile(file)


def first_bytes(file: BinaryIO, suffix: str, size: int) -> bytes:
    """The first `size` bytes of what a file holds, or all there are.

    Args:
        file: at its beginning.
        suffix: how it is compressed, "" for not at all.
        size: how many.

    Raises:
        DAMAGED, OSError: not even its beginning can be read.
    """
    if not suffix:
        return file.read(size)
    stream = inflater(suffix)
    head = b""
    try:
        while len(head) < size and not stream.eof and (data := file.read(_COMPRESSED_BYTES)):
            head += stream.decompress(data, size - len(head))
    except DAMAGED:
        # A file that is damaged further on has a beginning all the same.
        if not head:
            raise
    return head


def inflated(file: BinaryIO, suffix: str) -> Iterator[bytes]:
    """What comes out of each small piece of a file of one or more compressed streams."""
    stream, is_within = inflater(suffix), False
    while data := file.read(_COMPRESSED_BYTES):
        while data:
            yield stream.decompress(data)
            is_within = True
            if not stream.eof:
                break
            # Another stream may follow, or zeros that fill up a block of a tape.
            data, stream, is_within = (
                stream.unused_data.lstrip(b"\0"),
                inflater(suffix),
                False,
            )
    if is_within:
        raise EOFError("it was cut off")

"""Compresses a closed file beside itself, so that a crash leaves the one or the other whole."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import BinaryIO, Literal, Protocol

import zstandard

from logd.outputs.failpoints import failpoint

Kind = Literal["gzip", "zstd"]

SUFFIXES: dict[Kind, str] = {"gzip": ".gz", "zstd": ".zst"}
TEMPORARY_SUFFIX = ".tmp"

# Both libraries let other threads run while they work on a piece of this size.
_PIECE_BYTES = 1 << 20
_GZIP_LEVEL = 6
_GZIP_WINDOW = 31
_ZSTD_LEVEL = 3


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes:
        """Take more of the input."""

    def flush(self) -> bytes:
        """The end of the output."""


class Interrupted(Exception):
    """Compression was given up because the log is being closed."""


def temporary_name(name: str, kind: Kind) -> str:
    """Where the compressed file is made: a name that starts with a dot."""
    return f".{name}{SUFFIXES[kind]}{TEMPORARY_SUFFIX}"


def compress_file(folder: int, name: str, kind: Kind, is_wanted: Callable[[], bool]) -> str:
    """Write the compressed form of a file under its temporary name, synced.

    Args:
        folder: descriptor of the folder.
        name: the file's name; it must not change any more.
        kind: the format.
        is_wanted: asked between pieces.

    Returns:
        The temporary name, to be renamed by the caller.

    Raises:
        Interrupted: `is_wanted` said no.
        OSError: the file or the disk refused. In both cases nothing is left.
    """
    temporary = temporary_name(name, kind)
    source_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(source_fd, "rb", buffering=0) as source:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        target_fd = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            with os.fdopen(target_fd, "wb") as target:
                _copy(source, target, _compressor(kind), is_wanted)
                _take_over_attributes(source.fileno(), target_fd)
                failpoint("compression.before_sync")
                os.fsync(target_fd)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    return temporary


def _compressor(kind: Kind) -> _Compressor:
    if kind == "gzip":
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()


def _copy(
    source: BinaryIO, target: BinaryIO, compressor: _Compressor, is_wanted: Callable[[], bool]
) -> None:
    while piece := source.read(_PIECE_BYTES):
        if not is_wanted():
            raise Interrupted
        target.write(compressor.compress(piece))
        failpoint("compression.after_piece")
    target.write(compressor.flush())
    target.flush()


def _take_over_attributes(source: int, target: int) -> None:
    """Mode and time of the original: what may be read and how old the records are."""
    state = os.fstat(source)
    os.fchmod(target, state.st_mode & 0o777)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
    if os.geteuid() == 0:
        os.fchown(target, state.st_uid, state.st_gid)

"""Compresses a closed file beside itself, so that a crash leaves the one or the other whole.

The compressed form is read back and compared before anyone may take it for the file's successor.
If there is a compressed file of that name, such as what someone's `gzip` made of an earlier file,
the new one is added behind what it holds: both formats allow that. If it holds nothing but the
beginning of the file, the new one takes its place.
"""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal, NamedTuple

from logd.outputs.failpoints import failpoint
from logd.outputs.files import zstd
from logd.outputs.files.unpacking import DAMAGED, inflated, unpacked_file
from logd.text.reading import BREAK

Kind = Literal["gzip", "zstd"]

SUFFIXES: dict[Kind, str] = {"gzip": ".gz", "zstd": ".zst"}
TEMPORARY_SUFFIX = ".tmp"

# Both libraries let other threads run while they work on a piece of this size.
_PIECE_BYTES = 1 << 20
FRAME_BYTES = 4 << 20
"""A frame of zstd, or a member of gzip, holds this much, to the end of an entry: each of them can
be unpacked by itself, so a reader reaches the end of a file without what is before."""

_GZIP_LEVEL = 6
_GZIP_WINDOW = 31
_ZSTD_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
}


class Interrupted(Exception):
    """Compression was given up because the log is being closed."""


def temporary_name(name: str, kind: Kind) -> str:
    """Where the compressed file is made: a name that starts with a dot."""
    return f".{name}{SUFFIXES[kind]}{TEMPORARY_SUFFIX}"


def compress_file(folder: int, name: str, kind: Kind, is_wanted: Callable[[], bool]) -> str:
    """Write the compressed form of a file under its temporary name, synced and read back.

    Args:
        folder: descriptor of the folder.
        name: the file's name; it must not change any more.
        kind: the format.
        is_wanted: asked between pieces.

    Returns:
        The temporary name, to be renamed by the caller.

    Raises:
        Interrupted: `is_wanted` said no.
        OSError: the file or the disk refused, or what was written is not what was read. In both
            cases nothing is left.
    """
    temporary = temporary_name(name, kind)
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(_opened(folder, name))
        # What is compressed must not be more than the disk has: after a power loss the journal
        # would not believe in what the compressed form holds.
        os.fdatasync(source.fileno())
        before = _opened_if_there(folder, name + SUFFIXES[kind], stack)
        common = common_start(folder, name + SUFFIXES[kind], source.fileno())
        if common is not None and common.is_whole:
            # A copy of how the file began, such as `gzip -k` makes: it has nothing of its own.
            before = None
        target_fd = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            with os.fdopen(target_fd, "w+b") as target:
                if before is not None:
                    _copy_whole(before, target, is_wanted)
                _copy(source, target, kind, is_wanted)
                _take_over_attributes(source.fileno(), target_fd)
                failpoint("compression.before_sync")
                os.fsync(target_fd)
                _compare(target, before, source, kind, is_wanted)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    return temporary


def holds_file(folder: int, compressed: str, name: str, is_wanted: Callable[[], bool]) -> bool:
    """Whether a compressed file is whole and ends with the very bytes of the file `name`.

    Raises:
        Interrupted: `is_wanted` said no.
        OSError: one of them can't be read.
    """
    with _opened(folder, compressed) as target, _opened(folder, name) as source:
        try:
            size = sum(map(len, _unpacked(target, compressed)))
            before = size - os.fstat(source.fileno()).st_size
            if before < 0:
                return False
            pieces = _without(_unpacked(target, compressed), before)
            return _are_equal(pieces, _pieces(source), is_wanted)
        except DAMAGED:
            return False


class Common(NamedTuple):
    """What a compressed file and another have in common: all that can be read of the first.

    Attributes:
        size: its bytes.
        is_whole: whether that is all that it holds; else it is damaged further on.
    """

    size: int
    is_whole: bool


def common_start(folder: int, compressed: str, descriptor: int) -> Common | None:
    """How an open file begins with what a compressed one holds; None if it does not.

    Args:
        folder: descriptor of the folder.
        compressed: name of the compressed file.
        descriptor: the other file, perhaps removed by now.
    """
    place = 0
    try:
        with _opened(folder, compressed) as file:
            for piece in inflated(file, compressed[compressed.rfind(".") :]):
                if os.pread(descriptor, len(piece), place) != piece:
                    return None
                place += len(piece)
    except OSError:
        return None
    except DAMAGED:
        return Common(place, is_whole=False) if place else None
    return Common(place, is_whole=True)


def missing_in(folder: int, compressed: str, descriptor: int) -> int | None:
    """Where the first entry begins that a compressed form of an open file lacks.

    Someone's `gzip` may have read the file, while it was written to, before it removed it.

    Args:
        folder: descriptor of the folder.
        compressed: name of the compressed file.
        descriptor: the file, perhaps removed by now.

    Returns:
        None if the compressed file is not there, is damaged or holds something else; the size of
        the file if nothing is missing.
    """
    common = common_start(folder, compressed, descriptor)
    if common is None or not common.is_whole:
        return None
    size = os.fstat(descriptor).st_size
    return size if common.size == size else _entry_start(descriptor, common.size)


def _entry_start(descriptor: int, place: int) -> int:
    """Where the entry begins that a place is in."""
    first = max(0, place - _PIECE_BYTES)
    data = os.pread(descriptor, place - first + len(BREAK), first)
    end = data.rfind(b"\n", 0, place - first)
    while end >= 0 and data.startswith(BREAK, end):
        end = data.rfind(b"\n", 0, end)
    return first + end + 1 if end >= 0 or not first else place


def read_compressed(descriptor: int, name: str) -> Iterator[bytes]:
    """What a compressed file holds, in pieces; moves the descriptor.

    Raises:
        DAMAGED, OSError: it is not whole, or can't be read.
    """
    with os.fdopen(os.dup(descriptor), "rb") as file:
        yield from _unpacked(file, name)


def _opened(folder: int, name: str) -> io.FileIO:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return io.FileIO(os.open(name, flags, dir_fd=folder))


def _opened_if_there(folder: int, name: str, stack: contextlib.ExitStack) -> io.FileIO | None:
    try:
        return stack.enter_context(_opened(folder, name))
    except FileNotFoundError:
        return None


def _compare(
    target: BinaryIO,
    before: BinaryIO | None,
    source: BinaryIO,
    kind: Kind,
    is_wanted: Callable[[], bool],
) -> None:
    """See that `target` holds what `before` and `source` hold."""

    def wanted() -> Iterator[bytes]:
        if before is not None:
            yield from _unpacked(before, SUFFIXES[kind])
        yield from _pieces(source)

    try:
        is_same = _are_equal(_unpacked(target, SUFFIXES[kind]), wanted(), is_wanted)
    except DAMAGED as exc:
        raise OSError(f"read back, the compressed form is damaged: {exc}") from exc
    if not is_same:
        raise OSError("read back, the compressed form holds something else")


def _are_equal(
    some: Iterator[bytes], others: Iterator[bytes], is_wanted: Callable[[], bool]
) -> bool:
    """Whether two sequences of pieces are the same bytes, however they are divided."""
    rest = b""
    for piece in some:
        if not is_wanted():
            raise Interrupted
        while len(rest) < len(piece):
            more = next(others, b"")
            if not more:
                return False
            rest += more
        if not rest.startswith(piece):
            return False
        rest = rest[len(piece) :]
    return not rest and not next(others, b"")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        yield piece


def _unpacked(file: BinaryIO, name: str) -> Iterator[bytes]:
    file.seek(0)
    reader = unpacked_file(file, name[name.rfind(".") :])
    while piece := reader.read(_PIECE_BYTES):
        yield piece


def _without(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Pieces without their first `size` bytes."""
    for piece in pieces:
        yield piece[size:]
        size = max(0, size - len(piece))


def _copy_whole(source: BinaryIO, target: BinaryIO, is_wanted: Callable[[], bool]) -> None:
    for piece in _pieces(source):
        if not is_wanted():
            raise Interrupted
        target.write(piece)


def _copy(source: BinaryIO, target: BinaryIO, kind: Kind, is_wanted: Callable[[], bool]) -> None:
    rest = b""
    is_empty = True
    while piece := source.read(_PIECE_BYTES):
        if not is_wanted():
            raise Interrupted
        rest += piece
        if len(rest) >= FRAME_BYTES:
            cut = _last_entry_end(rest)
            target.write(_compressed(rest[:cut], kind))
            rest, is_empty = rest[cut:], False
        failpoint("compression.after_piece")
    # What is empty is a frame, too, or it would be no file of the format.
    if rest or is_empty:
        target.write(_compressed(rest, kind))
    target.flush()


def _compressed(data: bytes, kind: Kind) -> bytes:
    """One frame or member, which tells (zstd) how much it holds."""
    if kind == "zstd":
        return zstd.compress(data, options=_ZSTD_OPTIONS)
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return compressor.compress(data) + compressor.flush()


def _last_entry_end(data: bytes) -> int:
    """Where the last entry ends that surely is whole; all of the data if none is."""
    place = len(data)
    while (place := data.rfind(b"\n", 0, place)) >= 0:
        behind = data[place : place + len(BREAK)]
        if not BREAK.startswith(behind):
            return place + 1
    return len(data)


def _take_over_attributes(source: int, target: int) -> None:
    """Mode and time of the original: what may be read and how old the records are."""
    state = os.fstat(source)
    os.fchmod(target, state.st_mode & 0o777)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
    if os.geteuid() == 0:
        os.fchown(target, state.st_uid, state.st_gid)

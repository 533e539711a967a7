"""The index of a file: a small hidden file beside it, such as `.app_3.log.idx`.

Of each block of about a mebibyte it tells where it is, which times are in it, and which triples of
letters. It also has the number of its entries, for each minute and combination of category, host,
site and logger. So times and rare texts are found without reading what is of others, and counts
without reading the log at all.

The file that is written to has an index of its beginning, an open one; what comes behind that is
read. It is made longer as the file grows, and finished when the file is closed.

An index is a help, never a truth: it says which file it was made of, and one that is missing,
damaged, of another version or of another file is no index, and the log itself is read. An open
one is not used after a restart of the machine, because the end of the file may have changed, nor if
the bytes before its end are no longer the same.

The file is a line that says what it is, the lengths of four zstd frames with checksums, and those
frames: what is known of the whole file (JSON), its blocks, its cells (columns of numbers), and the
bits of `trigrams.py`. Cells and bits are only read if they are asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from logd.outputs.files import zstd
from logd.outputs.files.boots import boot_id
from logd.query.files.blocktimes import Blocks, bytes_of, columns_of, numbers_of
from logd.query.files.listing import FileRef
from logd.query.files.raw import DAMAGED, chunks

MAGIC = b"logd index 3\n"
"""To be counted up with each change of the format, or of what lines are read as."""

SUFFIX = ".idx"

NEVER = -(1 << 62)
"""The minute of entries without a time."""

MAX_PART_BYTES = 256 << 20
"""A part that would unpack to more is damaged, or nobody's friend."""

BITS_BYTES = 26 * 26 * 26 // 8
"""The bits of one block."""

SEAM_BYTES = 1 << 16
"""How much of a file, up to the end of an open index, is compared with what stood there."""

_LENGTHS = struct.Struct("<4I")
_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 9,
    zstd.CompressionParameter.checksum_flag: 1,
}

BROKEN = (OSError, ValueError, KeyError, TypeError, IndexError, struct.error, zstd.ZstdError)
"""What reading an index may raise, whatever is in the file."""


class Combination(NamedTuple):
    """What entries have in common.

    Attributes:
        cat: category, "" for none.
        host: "" for the daemon's own.
        site: where the call stands in the program, "" if it is not known.
        logger: text of the item of that name; None if there is none.
    """

    cat: str
    host: str
    site: str
    logger: str | None


Cell = tuple[int, int, int]
"""Second at which a minute begins (or `NEVER`), number of the combination, entries."""


@dataclass
class Index:
    """The index of one file.

    Attributes:
        size: bytes of the file, uncompressed, that it is of: all, unless it is open.
        mtime_ns: when the file was last written to; 0 if the index is open.
        generation: see `logd.query.positions`.
        seam: of an open one: the run of the machine, and a digest of what stands before its end;
            "" if the file is closed.
        combinations: those in the file.
        blocks: all blocks.
        cells: how many entries there are, block by block.
    """

    size: int
    mtime_ns: int
    generation: str
    combinations: Sequence[Combination]
    blocks: Blocks
    seam: str = ""
    totals: Sequence[int] = ()
    minutes: dict[str, dict[int, int]] = field(default_factory=dict)
    packed_cells: bytes = b""
    packed_bits: bytes = b""

    @property
    def is_open(self) -> bool:
        """Whether it is of the beginning of a file only."""
        return bool(self.seam)

    @property
    def is_counted(self) -> bool:
        """Whether cells tell all entries of all blocks."""
        return self.blocks.are_counted

    @cached_property
    def _columns(self) -> Sequence[array[int]]:
        return columns_of(numbers_of(_unpacked(self.packed_cells)), 3)

    @property
    def all_cells(self) -> Iterable[Cell]:
        """The cells of all blocks.

        Raises:
            BROKEN: they can't be read.
        """
        return zip(*self._columns, strict=True)

    def cells(self, number: int) -> Iterable[Cell]:
        """The cells of a block.

        Raises:
            BROKEN: they can't be read.
        """
        begin = self.blocks[number].cells_before
        behind = len(self._columns[0])
        if number + 1 < len(self.blocks):
            behind = self.blocks[number + 1].cells_before
        return zip(*(column[begin:behind] for column in self._columns), strict=True)

    @cached_property
    def all_bits(self) -> bytes:
        """The triples of letters of all blocks, see `trigrams.py`.

        Raises:
            BROKEN: they can't be read.
        """
        bits = _unpacked(self.packed_bits)
        if len(bits) != len(self.blocks) * BITS_BYTES:
            raise ValueError("the index contradicts itself")
        return bits

    def bits(self, number: int) -> bytes:
        """The same of one block."""
        return self.all_bits[number * BITS_BYTES : (number + 1) * BITS_BYTES]

    def is_of(self, ref: FileRef, generation: str) -> bool:
        """Whether it is of a file: as it was, or compressed since, which leaves its time.

        Of an open one more has to be known, see `seam_of`.
        """
        if self.is_open:
            return generation == self.generation != "" and (
                bool(ref.suffix) or ref.size >= self.size
            )
        return (
            ref.mtime_ns == self.mtime_ns
            and generation == self.generation != ""
            and (bool(ref.suffix) or ref.size == self.size)
        )

    def encoded(self, cells: Sequence[Cell], bits: bytes) -> bytes:
        """The index as a file.

        Args:
            cells: of all blocks.
            bits: of all blocks.
        """
        totals = [0] * len(self.combinations)
        minutes: dict[str, dict[int, int]] = {}
        for minute, which, number in cells:
            totals[which] += number
            if minute != NEVER:
                of_cat = minutes.setdefault(self.combinations[which].cat, {})
                of_cat[minute] = of_cat.get(minute, 0) + number
        whole = {
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "generation": self.generation,
            "seam": self.seam,
            "combinations": self.combinations,
            "totals": totals,
            "minutes": {cat: list(found.items()) for cat, found in minutes.items()},
        }
        numbers = array("q", [number for column in zip(*cells, strict=True) for number in column])
        parts = [
            _packed(json.dumps(whole, separators=(",", ":")).encode()),
            _packed(bytes_of(self.blocks.packed())),
            _packed(bytes_of(numbers)),
            _packed(bits),
        ]
        return b"".join((MAGIC, _LENGTHS.pack(*map(len, parts)), *parts))


def decoded(data: bytes) -> Index:
    """The index of a file's bytes.

    Raises:
        BROKEN: they are none.
    """
    if not data.startswith(MAGIC):
        raise ValueError("not an index of this version")
    lengths = _LENGTHS.unpack_from(data, len(MAGIC))
    place = len(MAGIC) + _LENGTHS.size
    if place + sum(lengths) != len(data):
        raise ValueError("the index was cut off")
    parts = []
    for length in lengths:
        parts.append(data[place : place + length])
        place += length
    whole = json.loads(_unpacked(parts[0]))
    index = Index(
        whole["size"],
        whole["mtime_ns"],
        whole["generation"],
        [Combination(*combination) for combination in whole["combinations"]],
        Blocks(numbers_of(_unpacked(parts[1]))),
        whole["seam"],
        whole["totals"],
        {cat: dict(found) for cat, found in whole["minutes"].items()},
        *parts[2:],
    )
    if index.blocks.have_gaps or len(index.totals) != len(index.combinations):
        raise ValueError("the index contradicts itself")
    return index


def _packed(data: bytes) -> bytes:
    return zstd.compress(data, options=_OPTIONS)


def _unpacked(data: bytes) -> bytes:
    reader = zstd.ZstdDecompressor()
    unpacked = reader.decompress(data, MAX_PART_BYTES)
    if not reader.eof:
        raise ValueError("a part of the index is too large, or not whole")
    return unpacked


# -- files -------------------------------------------------------------------------------------


def index_path(ref: FileRef) -> Path:
    """Where the index of a file is."""
    return path_beside(ref.plain_path)


def path_beside(plain_path: str) -> Path:
    """Where the index of the file of a path is; `plain_path` is without suffix of compression."""
    plain = Path(plain_path)
    return plain.with_name(f".{plain.name}{SUFFIX}")


def load(
    ref: FileRef, generation: str, descriptor: int, *, begun_at: Path | None = None
) -> Index | None:
    """The index of a file; None if there is none that is of it.

    Args:
        ref: the file.
        generation: see `logd.query.positions`.
        descriptor: of the file.
        begun_at: where an open index may be besides, of the time when the file was written to.
    """
    for path in (index_path(ref), begun_at):
        index = None if path is None else _read(path)
        if index is not None and index.is_of(ref, generation):
            is_same = not index.is_open or seam_of(descriptor, ref, index.size) == index.seam
            if is_same:
                return index
    return None


def _read(path: Path) -> Index | None:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            return decoded(file.read())
    except BROKEN:
        return None


def seam_of(descriptor: int, ref: FileRef, end: int) -> str:
    """What has to be the same for an open index to be one; "" if that can't be told.

    Args:
        descriptor: of the file.
        ref: the file.
        end: of the index.
    """
    try:
        data = b"".join(chunks(descriptor, ref, max(0, end - SEAM_BYTES), end))
    except DAMAGED:
        return ""
    boot = boot_id()
    if not boot or len(data) != min(end, SEAM_BYTES):
        return ""
    return f"{boot} {blake2b(data, digest_size=8).hexdigest()}"


def save(ref: FileRef, log: int, data: bytes) -> None:
    """Write the index of a file: as a whole or not at all, for the users who may read the file.

    Args:
        ref: the file.
        log: its descriptor.
        data: see `Index.encoded`.

    Raises:
        OSError: it can't be written; nothing is left of it.
    """
    path = index_path(ref)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    state = os.fstat(log)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:
                os.fchown(descriptor, state.st_uid, state.st_gid)
            os.fchmod(descriptor, state.st_mode & 0o777)
            file.write(data)
        temporary.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise

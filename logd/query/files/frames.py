"""Where the frames of a compressed file are, so that a place in it is reached without the rest.

The daemon writes zstd in frames of 4 MiB that tell how much they hold; others write one frame, or
frames that don't tell: such a file is read from its beginning.
"""

from __future__ import annotations

import os

from logd.outputs.files import zstd

MAX_FRAME_BYTES = 8 << 20
"""A frame of more bytes, compressed, is none of logd's."""

Frame = tuple[int, int]
"""Where a frame is in the file, and how many bytes, uncompressed, are before it."""


def frames_of(descriptor: int, suffix: str) -> list[Frame]:
    """The frames of a compressed file as far as they tell; at least its beginning.

    Args:
        descriptor: of the file; is not moved.
        suffix: what compression has added to its name.
    """
    found: list[Frame] = [(0, 0)]
    if suffix != ".zst":
        return found
    place, held = found[0]
    while data := os.pread(descriptor, MAX_FRAME_BYTES, place):
        try:
            size = zstd.get_frame_info(data).decompressed_size
            place += zstd.get_frame_size(data)
        except zstd.ZstdError:
            break
        if size is None:
            break
        held += size
        found.append((place, held))
    return found


def frame_before(descriptor: int, suffix: str, start: int) -> Frame:
    """The last frame that begins at a place, counted uncompressed, or before it."""
    if not start:
        return 0, 0
    return max(frame for frame in frames_of(descriptor, suffix) if frame[1] <= start)

"""Tells the C library's allocator to keep the memory that each portion of records needs again.

A portion takes some megabytes and gives them back a moment later: the bytes read, the joined
text, the block for the file. By default glibc returns such pieces to the system each time, and
the next portion pays for every page anew: with 4 KiB a page that was over half of what formatting
a record costs. Other C libraries have no such call and are left as they are.
"""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

KEPT_BYTES = 64 << 20
"""Free memory at the end of the heap that is kept; as much as the intake queue may hold."""

OWN_MAPPING_BYTES = 32 << 20
"""Pieces from this size on are mapped, and returned, one by one: the most that glibc accepts."""


def keep_freed_memory() -> None:
    """Have freed memory kept for reuse, for the whole process; nothing happens without glibc."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        # Threads that take turns with the interpreter need no heap each; what one frees, the
        # next can use. Under overload that spares some ten megabytes.
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING_BYTES)

"""One text file that entries are appended to, all of an append or nothing."""

from __future__ import annotations

import errno
import os
import stat
import weakref

from logd.text.escaping import CONTINUATION

FILE_MODE = 0o640
"""Rights of new files, before the umask: not for everyone, logs may hold secrets."""

_BLOCK = 1 << 20


class AppendedFile:
    """An open file. Closed at the latest with the last reference: local logs have no close.

    Args:
        path: its name; created if it is not there.
        is_cleared: whether it starts empty. Else a last line that a crash tore is ended.

    Attributes:
        size: its bytes, as far as this object wrote or found them.

    Raises:
        OSError: it can't be opened; a symbolic link never is.
    """

    def __init__(self, path: str, *, is_cleared: bool) -> None:
        self.size = 0
        file = _opened(path)
        try:
            state = os.fstat(file)
            if stat.S_ISREG(state.st_mode):
                if is_cleared:
                    os.ftruncate(file, 0)
                elif state.st_size:
                    self.size = state.st_size
                    if os.pread(file, 1, self.size - 1) != b"\n":
                        self.size += os.write(file, b"\n")
        except OSError:
            os.close(file)
            raise
        self._file = file
        self.close = weakref.finalize(self, os.close, file)

    def append(self, data: bytes) -> None:
        """Append all of this.

        Raises:
            OSError: the disk refused; nothing of it remains.
        """
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:] if written else data)
        except OSError:
            # Taken back, unless another process appended since.
            if written and os.fstat(self._file).st_size == self.size + written:
                os.ftruncate(self._file, self.size)
            raise
        self.size += written

    def write(self, text: str) -> int:
        """Append a text, as `append`; returns its length."""
        self.append(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Do nothing: what was written is in the file already."""

    def count_entries(self) -> int:
        """How many of its lines do not continue the entry before them."""
        mark = CONTINUATION.encode()
        count = position = 0
        ends_line = True
        before = b""
        while block := os.pread(self._file, _BLOCK, position):
            # A mark may be cut by the end of a block: look at its last bytes again with the next.
            text = before + block
            count += block.count(b"\n") - text.count(b"\n" + mark)
            if position == 0:
                count -= block.startswith(mark)
            before = text[-len(mark) :]
            ends_line = block.endswith(b"\n")
            position += len(block)
        return count if ends_line else count + 1


def _opened(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, FILE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(
                error.errno, "is a symbolic link, and logs are not written through links", path
            ) from error
        raise

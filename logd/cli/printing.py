"""Standard output for commands whose output may be long, endless, or cut short by its reader."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from logd.errors import LogdError

_INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def put(data: bytes) -> None:
    """Write to standard output, and let it be seen at once.

    Raises:
        LogdError: the disk that it leads to is full, or refuses.
    """
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[_written(rest) :]
        while not _is_flushed():
            _wait_writable()
    except BrokenPipeError:
        raise
    except OSError as exc:
        discard_output()
        raise LogdError(f"can't write to standard output: {exc.strerror}") from exc


def _written(data: memoryview) -> int:
    """How many of the bytes were taken: perhaps not all, after some waiting perhaps none.

    With PYTHONUNBUFFERED standard output is the bare file, and a signal that comes while its
    reader is slow ends a write in the middle. And another program, such as ssh, may have told the
    pipe or terminal not to wait.
    """
    try:
        # The bare file gives None instead of an error.
        written = sys.stdout.buffer.write(data) or 0
    except BlockingIOError as exc:
        written = exc.characters_written
    if not written:
        _wait_writable()
    return written


def _is_flushed() -> bool:
    try:
        sys.stdout.buffer.flush()
    except BlockingIOError:
        return False
    return True


def _wait_writable() -> None:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    poll.poll()


def discard_output() -> None:
    """Let nothing that is still buffered be tried again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def quiet_end() -> Iterator[None]:
    """End silently if the reader of standard output is gone, or on Ctrl-C."""
    try:
        yield
    except BrokenPipeError:
        discard_output()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def wait(news: int | None, timeout_s: float) -> bool:
    """Wait for something to read, or for a while; False when nobody reads what is written.

    Args:
        news: descriptor of what is read; None: there is none, wait the whole time.
        timeout_s: the longest time to wait, in seconds.
    """
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)  # errors and hang-ups are told unasked
    if news is not None:
        poll.register(news, select.POLLIN)
    return all(descriptor != output for descriptor, _ in poll.poll(timeout_s * 1000))

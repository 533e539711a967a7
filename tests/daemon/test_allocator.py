"""What is told to the C library's allocator, seen by the page faults it saves."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from logd.daemon.allocator import keep_freed_memory

# Four pieces of 256 pages, fifty times: 51,200 pages where each is fetched anew.
_PROGRAM = """
import resource, threading
from logd.daemon.allocator import keep_freed_memory

def portion():
    return [b"x" * (1 << 20) for _ in range(4)]

def portions():
    portion()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(50):
        portion()
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

keep_freed_memory()
thread = threading.Thread(target=portions)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc takes such settings")
def test_memory_of_a_portion_is_used_again() -> None:
    """Large pieces that a thread frees and allocates again cost it no new pages."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout) < 5_000


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library without these settings is no error."""
    monkeypatch.setattr("logd.daemon.allocator.ctypes.CDLL", lambda name: object())
    keep_freed_memory()

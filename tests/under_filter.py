"""Runs a command under the filter of system calls that a unit has.

    python -m tests.under_filter systemd/logd.service COMMAND ...

systemd itself tells which calls are in its groups, and libseccomp sets the filter, as it does for
systemd. Both are asked for where they are; `is_possible` says whether they are.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000


def is_possible() -> bool:
    """Whether this machine has what is needed."""
    return ctypes.util.find_library("seccomp") is not None and bool(shutil.which("systemd-analyze"))


@cache
def members(group: str) -> frozenset[str]:
    """The system calls of one of systemd's groups, those of the groups in it included."""
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    )
    found: set[str] = set()
    for line in done.stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            found |= members(name)
        elif name and not name.startswith("#"):
            found.add(name)
    return frozenset(found)


def allowed_calls(unit: Path) -> set[str]:
    """What the lines of a unit's SystemCallFilter allow, in their order."""
    found: set[str] = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", unit.read_text("utf-8"), re.MULTILINE):
        is_refusal = value.startswith("~")
        names = set(_names(value.removeprefix("~")))
        found = found - names if is_refusal else found | names
    # Always allowed by systemd: what it takes to start a process and to end it.
    return found | members("@default")


def _names(text: str) -> Iterator[str]:
    for word in text.split():
        if word.startswith("@"):
            yield from members(word)
        else:
            yield word


def apply(unit: Path) -> None:
    """Refuse this process and its children every other call, with EPERM."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp"), use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | errno.EPERM)))
    for name in sorted(allowed_calls(unit)):
        number = library.seccomp_syscall_resolve_name(name.encode())
        # Negative ones are calls of other machines.
        if number >= 0:
            library.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, 0)
    result = library.seccomp_load(context)
    if result:
        raise OSError(-result, os.strerror(-result))


if __name__ == "__main__":
    apply(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])

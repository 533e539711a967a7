"""Writes source distributions anew, so that those of one commit are the same, byte for byte.

    SOURCE_DATE_EPOCH=1700000000 python packages/repack.py FILE.tar.gz ...

What builds them notes when each file was written, by whom, and with which rights; those depend on
the clone. `make dist` runs this, and makes the wheels from what it wrote.
"""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
from pathlib import Path


def repack(path: Path, instant: int) -> None:
    """Write the archive anew: sorted, files of nobody in particular, all as old as `instant`."""
    new = path.with_name(path.name + ".new")
    with (
        tarfile.open(path) as archive,
        new.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, instant) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            member.mtime, member.pax_headers = instant, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            target.addfile(member, archive.extractfile(member) if member.isfile() else None)
    new.replace(path)


def main() -> None:
    """Write all archives that the caller names anew."""
    for name in sys.argv[1:]:
        repack(Path(name), int(os.environ["SOURCE_DATE_EPOCH"]))


if __name__ == "__main__":
    main()

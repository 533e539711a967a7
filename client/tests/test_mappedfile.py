"""Maps of files whose descriptors the app closes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from logd_client.mappedfile import MappedFile


def numbers_of(path: Path) -> list[int]:
    """The descriptors of this process for the file."""
    wanted = path.stat()
    found = []
    for number in range(3, 1024):
        try:
            status = os.fstat(number)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(number)
    return found


def mapped(path: Path) -> MappedFile:
    """A map of a new file, whose own descriptor is closed."""
    path.write_bytes(bytes(4096))
    fd = os.open(path, os.O_RDWR)
    try:
        return MappedFile(fd, 4096)
    finally:
        os.close(fd)


def test_a_map_leaves_no_descriptor(tmp_path: Path) -> None:
    """Closing it closes what it kept, and the file has what was written."""
    path = tmp_path / "file"
    one = mapped(path)
    one.bytes[:4] = b"text"
    one.close()
    assert numbers_of(path) == []
    assert path.read_bytes()[:4] == b"text"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="maps keep no descriptor there")
def test_a_descriptor_that_became_the_apps_stays_open(tmp_path: Path) -> None:
    """If the app closed the map's descriptor and got its number for a file, that stays open."""
    path = tmp_path / "file"
    one = mapped(path)
    (number,) = numbers_of(path)
    os.close(number)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    os.dup2(other, number)
    one.bytes[:4] = b"text"
    one.close()
    assert os.write(number, b"mine") == 4
    os.close(number)
    if other != number:
        os.close(other)
    assert path.read_bytes()[:4] == b"text"
    assert (tmp_path / "other").read_bytes() == b"mine"

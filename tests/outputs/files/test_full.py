"""Files on a disk that is really full, a small one in memory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.outputs.base import OutputUnavailable
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import RotationPolicy
from tests.outputs.output_making import CLIENT, entries_of, log_files, make_settings, numbered


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"can't mount a file system in memory: {exc}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=60)


@pytest.mark.parametrize("lines", [None, 30])
def test_full_disk_for_a_while(lines: int | None, small_disk: Path) -> None:
    """While the disk is full nothing is written by halves; then everything is, once."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes(964 << 10))
    settings = make_settings(small_disk, rotation=RotationPolicy(lines=lines))
    output = FileOutput(str(small_disk / "app_%d.log"), settings)
    output.open()
    failures = 0
    for first in range(1, 2001, 50):
        batches = [numbered(first, 30), numbered(first + 30, 20)]
        while batches:
            try:
                output.write(batches)
                output.sync()
                break
            except OutputUnavailable as exc:
                failures += 1
                assert failures < 100
                batches = batches[exc.batches_done :]
                if exc.rows_done:
                    batches[0] = batches[0].part(exc.rows_done, len(batches[0]))
                entries_of(log_files(small_disk))
                if failures % 5 == 0:
                    filler.unlink(missing_ok=True)
    output.close()
    assert failures >= 5
    assert entries_of(log_files(small_disk)) == [f"0123 record {n}" for n in range(1, 2001)]
    output = FileOutput(str(small_disk / "app_%d.log"), settings)
    assert output.open() == {CLIENT: 2000}
    output.close()

"""Which files a log has, and in which order."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from logd.outputs.files import zstd
from logd.query.files.listing import RingFiles, open_file
from logd.query.source import CannotRead
from tests.query.log_making import log_files, records, write_log


def names(files: RingFiles) -> list[str]:
    """The names in their order."""
    return [ref.path.name for ref in files.listing()]


def make(folder: Path, *found: str) -> None:
    """Files, each written a second after the one before."""
    for second, name in enumerate(found):
        path = folder / name
        path.write_text("x\n")
        os.utime(path, (1_795_345_800 + second, 1_795_345_800 + second))


def test_a_ring_that_came_round(tmp_path: Path) -> None:
    """The journal tells the current file; the one behind it in the ring is the oldest."""
    write_log(tmp_path / "app_%d.log", records(1, 11), lines=2, count=4)
    for count in (4, None):
        files = RingFiles(str(tmp_path / "app_%d.log"), count=count)
        assert names(files) == ["app_2.log", "app_3.log", "app_0.log", "app_1.log"]


def test_without_a_journal(tmp_path: Path) -> None:
    """Where no journal is, the file last written to is the current one."""
    make(tmp_path, "app_2.log.gz", "app_3.log", "app_0.log", "app_1.log", "app_x.log", "other")
    files = RingFiles(str(tmp_path / "app_%d.log"))
    assert names(files) == ["app_2.log.gz", "app_3.log", "app_0.log", "app_1.log"]


def test_a_compressed_file_by_its_name(tmp_path: Path) -> None:
    """One file of an archive is read when its own name is given, with the suffix or without."""
    make(tmp_path, "app_3.log.zst", "app_4.log.zst")
    for name in ("app_3.log.zst", "app_3.log"):
        assert names(RingFiles(str(tmp_path / name))) == ["app_3.log.zst"]


def test_files_of_one_instant(tmp_path: Path) -> None:
    """Files written within one tick of the clock are in the order of the ring."""
    make(tmp_path, "app_0.log", "app_1.log", "app_2.log")
    for path in tmp_path.iterdir():
        os.utime(path, (5, 5))
    assert names(RingFiles(str(tmp_path / "app_%d.log"), count=10))[-1] == "app_2.log"


def test_files_of_a_larger_ring(tmp_path: Path) -> None:
    """What a ring of more files left is the oldest, where the size of the ring is known."""
    make(tmp_path, "app_7.log", "app_2.log", "app_0.log", "app_1.log")
    files = RingFiles(str(tmp_path / "app_%d.log"), count=3)
    assert names(files) == ["app_7.log", "app_2.log", "app_0.log", "app_1.log"]


def test_dates(tmp_path: Path) -> None:
    """Files named by date are seen to be so, and are in the order of their dates."""
    make(
        tmp_path, "app_20261122-111000.log", "app_20261122-111000.1.log", "app_20251122-111000.log"
    )
    assert names(RingFiles(str(tmp_path / "app_%d.log"))) == [
        "app_20251122-111000.log",
        "app_20261122-111000.log",
        "app_20261122-111000.1.log",
    ]
    make(tmp_path, "log-20261121", "log-20261122")
    assert names(RingFiles(str(tmp_path / "log-%Y%m%d"))) == ["log-20261121", "log-20261122"]


def test_both_namings(tmp_path: Path) -> None:
    """A log that changed its naming has files of both, in the order in which they were begun."""
    pattern = tmp_path / "app_%d.log"
    write_log(pattern, records(1, 7), lines=2, count=9)
    write_log(pattern, records(7, 11), lines=2, count=9, naming="date")
    write_log(pattern, records(11, 15), lines=2, count=9, compress="gzip")
    found = names(RingFiles(str(pattern)))
    assert [name[4:6] for name in found] == ["0.", "1.", "2.", "3.", "20", "20", "4.", "5.", "6."]
    (tmp_path / ".app_%d.log.journal").unlink()
    assert names(RingFiles(str(pattern)))[0].startswith("app_0.log")
    assert set(names(RingFiles(str(pattern)))) == set(found)


def test_moved_by_logrotate(tmp_path: Path) -> None:
    """Files of a ring that logrotate has moved are found, oldest first, whatever its suffix."""
    moved = ("app_0.log.2.gz", "app_0.log-20261127", "app_0.log.1")
    make(tmp_path, *moved, "app_0.log", "app_0.log.bak", "app_0.log.torn", "app_x.log.1")
    make(tmp_path, "app_0.log.1.1")
    files = RingFiles(str(tmp_path / "app_%d.log"))
    assert names(files) == [*moved, "app_0.log"]
    assert [files.is_moved(name) for name in ("app_0.log.1", "app_0.log")] == [True, False]


def test_one_file(tmp_path: Path) -> None:
    """A plain name is the current file, after all that were closed, whoever renamed them."""
    make(tmp_path, "app.log.1", "app.log", "app.log.2", "app-2026-11-22.log", "app.logs")
    found = names(RingFiles(str(tmp_path / "app.log")))
    assert found == ["app.log.1", "app.log.2", "app-2026-11-22.log", "app.log"]


def test_nothing_there(tmp_path: Path) -> None:
    """A folder that is not there has no files."""
    assert names(RingFiles(str(tmp_path / "logs/app_%d.log"))) == []


@pytest.mark.parametrize("pattern", ["", "a/%d/b", "app_%d_%d.log", "logs/"])
def test_unusable_patterns(pattern: str) -> None:
    """What is no pattern is refused in a sentence."""
    with pytest.raises(CannotRead, match=r"expected|must be"):
        RingFiles(pattern)


FIRST, SECOND = b"1\n2\n3\n", b"4\n5\n6\n"


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
@pytest.mark.parametrize(
    ("plain", "packed", "expected"),
    [
        (FIRST, FIRST, "plain"),
        # `gzip -k` of a file that grew since.
        (FIRST + SECOND, FIRST, "plain"),
        # The daemon has added the plain one to what somebody had compressed.
        (SECOND, FIRST + SECOND, "packed"),
        # A new file of the name of one that somebody compressed.
        (SECOND, FIRST, "both"),
        (FIRST, FIRST + SECOND, "both"),
        (b"", FIRST, "both"),
    ],
)
def test_original_and_compressed(
    plain: bytes, packed: bytes, expected: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """If both are there each record counts once, whatever times the files have."""
    suffix = ".gz" if pack is gzip.compress else ".zst"
    original, compressed = tmp_path / "app_0.log", tmp_path / f"app_0.log{suffix}"
    (tmp_path / "app_1.log").write_text("7\n")
    original.write_bytes(plain)
    compressed.write_bytes(pack(packed))
    ring = RingFiles(str(tmp_path / "app_%d.log"))
    files = {"plain": [original], "packed": [compressed], "both": [compressed, original]}
    wanted = {path.name for path in files[expected]} | {"app_1.log"}
    for time in (5, 6):
        os.utime(original, (5, 5))
        os.utime(compressed, (time, time))
        assert set(names(ring)) == wanted
    if expected == "plain":
        with original.open("ab") as file:
            file.write(b"more\n")
        assert set(names(ring)) == wanted
        original.write_bytes(SECOND + FIRST)
        assert len(names(ring)) == 3


def test_a_torn_copy_beside_the_original(tmp_path: Path) -> None:
    """What can be read of it is in the original: it counts once."""
    data = os.urandom(1 << 20)
    (tmp_path / "app_0.log").write_bytes(data)
    (tmp_path / "app_0.log.gz").write_bytes(gzip.compress(data)[:500_000])
    assert names(RingFiles(str(tmp_path / "app_%d.log"))) == ["app_0.log"]


def test_opening_what_was_listed(tmp_path: Path) -> None:
    """A file is opened if it is the one that was listed, or was compressed since."""
    write_log(tmp_path / "app_%d.log", records(1, 7), lines=2)
    files = RingFiles(str(tmp_path / "app_%d.log"))
    before = files.listing()
    with log_files(tmp_path / "app_%d.log", lines=2, compress="gzip") as output:
        output.tick(0.0)
        assert output.wait_idle(30)
        for ref in before:
            opened = open_file(ref)
            assert opened is not None
            os.close(opened[0])
            assert opened[1].suffix == ("" if ref is before[-1] else ".gz")
    replaced = tmp_path / "app_0.log.gz"
    replaced.unlink()
    (tmp_path / "app_0.log").write_text("another\n")
    assert open_file(before[0]) is None


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_opening_what_was_renamed_since(tmp_path: Path, compress: str) -> None:
    """The current file of a plain name is opened under the name that it got since."""
    write_log(tmp_path / "app.log", records(1, 7), lines=2)
    before = RingFiles(str(tmp_path / "app.log")).listing()
    with log_files(tmp_path / "app.log", lines=2, compress=compress) as output:
        output.rotate()
        assert output.wait_idle(30)
        opened = open_file(before[-1])
        assert opened is not None
        os.close(opened[0])
        suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[compress]
        assert opened[1].path.name == f"app.log.4{suffix}"


def test_other_ways_to_the_same_folder(tmp_path: Path) -> None:
    """Symbolic links and ".." lead to the same log."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files = RingFiles(str(tmp_path / "link/../link/app_%d.log"))
    assert files.has(str(tmp_path / "real/app_3.log"))
    assert not files.has(str(tmp_path / "app_3.log"))
    assert not files.has(str(tmp_path / "real/app_x.log"))

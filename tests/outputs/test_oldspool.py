"""What versions before the queue on disk left for the next start."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from logd.outputs.oldspool import move_spool
from logd.records.batch import Batch
from tests.outputs.output_making import numbered
from tests.outputs.queues import Bench, of_version_1, spoil


def old_spool(path: Path, *batches: Batch, magic: bytes = b"logd spool 1\n") -> list[int]:
    """Write a spool as version 1 did; returns where its entries begin."""
    data, found = magic, []
    for batch in batches:
        payload = of_version_1(batch)
        found.append(len(data))
        data += struct.pack("<II", len(payload), zlib.crc32(payload)) + payload
    path.write_bytes(data)
    return found


def test_an_old_spool_is_taken_up(tmp_path: Path) -> None:
    """What an older version left for the next start is in the queue, and its file is gone."""
    spool = tmp_path / "spool-x.1"
    old_spool(spool, numbered(1, 3), numbered(4, 3))
    bench = Bench(tmp_path)
    move_spool(spool, bench.queue, bytes, bench.told.append)
    assert bench.lasts() == [3, 6]
    assert not spool.exists()
    assert not bench.told
    move_spool(spool, bench.queue, bytes, bench.told.append)


@pytest.mark.parametrize("offset", [0, 1, 4, 40])
def test_a_damaged_spool_costs_one_batch(offset: int, tmp_path: Path) -> None:
    """The rest of an old spool is read, its file stays under another name, and it is said."""
    spool = tmp_path / "spool-x.1"
    spoil(spool, old_spool(spool, numbered(1, 3), numbered(4, 3), numbered(7, 3))[1] + offset)
    bench = Bench(tmp_path)
    move_spool(spool, bench.queue, bytes, bench.told.append)
    assert bench.lasts() == [3, 9]
    assert "6 records are kept" in bench.told[0]
    assert (tmp_path / "damaged-spool-x.1").exists()
    assert not spool.exists()

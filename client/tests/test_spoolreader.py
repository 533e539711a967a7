"""What the next process finds in a spool: damage, torn ends, files of earlier versions."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer
from delivery import Problems
from hypothesis import given, settings
from hypothesis import strategies as st
from spools import CLIENT, adopted, folders, made_spool, rows

from logd_client import createClientLog
from logd_client.encoding import encode_batches
from logd_client.records import EncodedBatch
from logd_client.spool import open_leftovers


def test_records_are_found_again(tmp_path: Path) -> None:
    """An heir has what was not acknowledged, and then the folder goes."""
    made_spool(tmp_path, rows(5), acked=2)
    assert (tmp_path / CLIENT.hex()).stat().st_mode & 0o777 == 0o700
    assert adopted(tmp_path) == ([3, 4, 5], 0)
    assert folders(tmp_path) == []


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_record(tmp_path_factory: Any, position: int, bit: int) -> None:
    """All others are sent, a word stands in its place, and the damaged file is kept."""
    directory = tmp_path_factory.mktemp("spool")
    path = made_spool(directory, rows(4))
    data = bytearray(path.read_bytes())
    size = (data.rindex(b"x") + 1 - 16) // 4
    position %= 3 * size
    data[16 + position] ^= 1 << bit
    path.write_bytes(data)
    lost = position // size + 1
    assert adopted(directory) == ([n for n in (1, 2, 3, 4) if n != lost], 1)
    assert [one.name for one in folders(directory)] == [f"damaged-{CLIENT.hex()}-{path.name}"]


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 43), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_state_costs_nothing(
    tmp_path_factory: Any, position: int, bit: int
) -> None:
    """Whatever is damaged in the state file, the entries are found under their client id."""
    directory = tmp_path_factory.mktemp("spool")
    made_spool(directory, rows(4))
    path = next(directory.rglob("state"))
    data = bytearray(path.read_bytes())
    assert len(data) == 44
    data[position] ^= 1 << bit
    path.write_bytes(data)
    assert adopted(directory) == ([1, 2, 3, 4], 0)


def old_batches(folder: Path, entries: list[EncodedBatch]) -> Path:
    """A file of batches as they wrote it beside the rows."""
    path = folder / f"{entries[0].first:020d}.batches"
    data = b""
    for entry in entries:
        checked = struct.pack(">QI", entry.first, entry.records) + entry.frame
        data += struct.pack(">II", entry.size, zlib.crc32(checked)) + checked
    path.write_bytes(data)
    return path


def old_entries(count: int, first: int = 1) -> list[EncodedBatch]:
    """Batches of two records each."""
    return [
        entry for n in range(first, first + count, 2) for entry in encode_batches(n, rows(2, n))
    ]


def test_a_state_without_a_checksum_is_believed(tmp_path: Path) -> None:
    """As early versions wrote it; and once it was read it has one."""
    made_spool(tmp_path, rows(4))
    path = next(tmp_path.rglob("state"))
    path.write_bytes(path.read_bytes()[:32] + (2).to_bytes(8, "big"))
    (spool,) = open_leftovers(tmp_path)
    spool.close(remove=False)
    assert path.stat().st_size == 44
    assert adopted(tmp_path) == ([3, 4], 0)


def test_batches_of_earlier_versions_are_sent(tmp_path: Path, server: AckServer) -> None:
    """With the rows that were in no batch yet, each record once, and the folder goes."""
    folder = made_spool(tmp_path, rows(30), acked=3).parent
    old_batches(folder, old_entries(10))
    old_batches(folder, old_entries(10, 11))
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path)
    server.wait_for_records(27)
    assert log.close(60)
    assert [record[0] for record in server.records] == list(range(4, 31))
    assert folders(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_batch_is_left_out(tmp_path: Path, cut: int) -> None:
    """The end of a file that a kill cut off is no damage."""
    folder = made_spool(tmp_path, rows(1)).parent
    path = old_batches(folder, old_entries(10))
    os.truncate(path, path.stat().st_size - cut)
    assert adopted(tmp_path) == (list(range(1, 9)), 0)
    assert folders(tmp_path) == []


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_batch(tmp_path_factory: Any, position: int, bit: int) -> None:
    """All behind it is sent, and the file is kept."""
    directory = tmp_path_factory.mktemp("spool")
    path = old_batches(made_spool(directory, rows(1)).parent, old_entries(8))
    data = bytearray(path.read_bytes())
    size = len(data) // 4
    position = size + position % (2 * size)
    data[position] ^= 1 << bit
    path.write_bytes(data)
    gone = position // size * 2
    wanted = [n for n in range(1, 9) if n not in (gone + 1, gone + 2)]
    assert adopted(directory) == (wanted, 2)
    assert [one.name for one in folders(directory)] == [f"damaged-{CLIENT.hex()}-{path.name}"]


def test_damage_is_told_and_read_around(tmp_path: Path, server: AckServer) -> None:
    """With a damaged batch in the midst, the log has all others, and says how many are missing."""
    path = made_spool(tmp_path, rows(100))
    data = bytearray(path.read_bytes())
    data[data.index(b"50 ")] ^= 1
    path.write_bytes(data)
    problems = Problems()
    log = createClientLog("127.0.0.1", server.port, spool=tmp_path, errorHandler=problems)
    assert problems.arrived.wait(60)
    assert log.close(60)
    texts = [record[2].removesuffix(" xxxxxxxxxx") for record in server.records]
    notice = f"1 record lost: the spool {path.parent} was damaged"
    assert texts == [*[str(n) for n in range(1, 50)], notice, *[str(n) for n in range(51, 101)]]
    assert server.records[49][4] == {"lost": 1}
    kept = tmp_path / f"damaged-{CLIENT.hex()}-{path.name}"
    assert problems.texts == [
        f"spool {path.parent}: 1 record(s) lost; the damaged files are kept: {kept}"
    ]
    assert folders(tmp_path) == [kept]
    assert kept.read_bytes() == bytes(data)

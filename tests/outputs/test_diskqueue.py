"""The queue on disk: order, room, crashes, damage."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logd.outputs.base import OutputUnusable
from logd.outputs.batchbytes import decode_batch, encode_batch
from logd.outputs.queuefolder import queue_folders
from logd.outputs.queuestate import QueueFull
from logd.outputs.segment import HEAD_BYTES, find_output
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import ContextItems
from tests.outputs.output_making import CLIENT, make_batch, numbered
from tests.outputs.queues import Bench, _made, columns, fill, of_version_1, spoil

LOST = re.compile(r"was removed: (\d+) records")


def test_batches_return_as_they_were(tmp_path: Path) -> None:
    """Batches come back in their order over several starts, until they are done."""
    assert Bench(tmp_path).rest() == []
    written = [numbered(1, 3), numbered(4, 2), make_batch(["x"], first=6, peer="10.0.0.7")]
    fill(tmp_path, *written[:2])
    last = fill(tmp_path, written[2])
    assert last.stat().st_mode & 0o777 == 0o640
    bench = Bench(tmp_path)
    assert bench.marks == {CLIENT: 6}
    assert bench.queue.status.records == 6
    assert [columns(batch) for batch in bench.rest()] == [columns(batch) for batch in written]
    assert find_output(last) == "x"
    assert not bench.told


@pytest.mark.parametrize("at_most_bytes", [1, 1000, 1 << 20])
def test_segments_go_when_their_records_are_done(at_most_bytes: int, tmp_path: Path) -> None:
    """What is read may still be lost with the process; what is done leaves the disk."""
    bench = Bench(tmp_path, limit_bytes=1 << 20)
    for number in range(1, 101):
        bench.queue.append([make_batch(["x" * 2000], first=number)])
    assert len(bench.files) > 3
    assert queue_folders(tmp_path) == [bench.queue.path]
    numbers: list[int] = []
    while (portion := bench.queue.read(at_most_bytes)) is not None:
        numbers += [batch.last for batch in portion.batches]
        bench.queue.done(portion)
    assert numbers == list(range(1, 101))
    assert bench.files == []
    assert queue_folders(tmp_path) == []
    assert bench.queue.unread_bytes == 0
    status = bench.queue.status
    assert (status.records, status.bytes, status.kept, status.taken) == (0, 0, 100, 100)
    bench.queue.append([numbered(101, 1)])
    assert bench.lasts() == [101]


def test_what_comes_while_one_reads_follows(tmp_path: Path) -> None:
    """Reading and appending take turns; nothing is passed over and nothing comes twice."""
    bench = Bench(tmp_path, limit_bytes=1 << 20)
    numbers: list[int] = []
    for number in range(1, 200):
        bench.queue.append([make_batch(["x" * 1000], first=number)])
        if number % 3 == 0:
            portion = bench.queue.read(1500)
            assert portion is not None
            numbers += [batch.last for batch in portion.batches]
            bench.queue.done(portion)
    numbers += bench.lasts()
    assert numbers == list(range(1, 200))


def test_batches_of_version_1_are_read() -> None:
    """A batch that was kept before an upgrade comes back; its sender's floor is unknown."""
    batch = make_batch(["x", "y"], first=6, floor=5)
    again = decode_batch(of_version_1(batch), None)
    assert columns(again) == columns(batch) | {"floor": 0}
    assert columns(decode_batch(encode_batch(batch), None)) == columns(batch)


def test_shared_items_stay_shared() -> None:
    """Items that the records of a place have in common are one object after reading, too."""
    index, shared = [0, 0, 0], [{"logger": "shop"}]
    batch = make_batch(["x", "y", "z"])
    batch.special = ContextItems(shared, index, {1: {"user": 7}})
    again = decode_batch(encode_batch(batch), None)
    assert columns(again) == columns(batch)
    assert again.special[0] is again.special[2]


def test_filtered_batch_keeps_its_numbers(tmp_path: Path) -> None:
    """A batch of which a filter left records out still covers their sequence numbers."""
    whole = numbered(10, 6)
    jobs = whole.jobs()
    batch = Batch.from_jobs([jobs[1], jobs[3]], whole)
    fill(tmp_path, batch)
    (back,) = Bench(tmp_path, formatter=ShortNames()).rest()
    assert columns(back) == columns(batch)
    assert (back.first, back.last, back.sequence) == (10, 15, [11, 13])
    assert isinstance(back.formatter, ShortNames)


def test_the_limit_holds(tmp_path: Path) -> None:
    """At the limit nothing more is taken, in whole batches; a stop may go beyond it."""
    bench = Bench(tmp_path, limit_bytes=20_000)
    batches = [make_batch(["x" * 3000], first=number) for number in range(1, 11)]
    for batch in batches[:6]:
        bench.queue.append([batch])
    with pytest.raises(QueueFull, match="queue_disk_bytes, 20000 bytes") as caught:
        bench.queue.append(batches[6:])
    assert caught.value.kept == 0
    assert sum(path.stat().st_size for path in bench.files) <= 20_000
    bench.queue.append(batches[6:], beyond_limit=True)
    assert bench.lasts() == list(range(1, 11))


def test_free_disk_is_left(tmp_path: Path) -> None:
    """Nothing is taken that would leave less than `min_free_bytes` of the disk."""
    bench = Bench(tmp_path, min_free_bytes=1 << 60)
    with pytest.raises(QueueFull, match="min_free_bytes are free"):
        bench.queue.append([numbered(1, 1)])
    assert bench.lasts() == []


def test_two_processes_do_not_share_a_queue(tmp_path: Path) -> None:
    """The second one is told so."""
    Bench(tmp_path).queue.append([numbered(1, 1)])
    first = Bench.__new__(Bench)
    with pytest.raises(OutputUnusable, match="another process uses"):
        first.__init__(tmp_path)  # type: ignore[misc]


@pytest.mark.parametrize("loss", [1, 7, 60, HEAD_BYTES + 3])
def test_a_torn_end_is_passed_over(loss: int, tmp_path: Path) -> None:
    """Half a batch at the end was promised to nobody; what comes then takes its place."""
    path = fill(tmp_path, numbered(1, 3), numbered(4, 3), closes=False)
    os.truncate(path, path.stat().st_size - loss)
    bench = Bench(tmp_path)
    assert bench.marks == {CLIENT: 3}
    bench.queue.append([numbered(4, 2)])
    assert bench.lasts() == [3, 5]
    assert not bench.told


def places(path: Path) -> list[int]:
    """Where the entries of a segment begin."""
    data, found, place = path.read_bytes(), [], 0
    while (place := data.find(b"\xf5LQ1", place)) >= 0:
        found.append(place)
        place += 1
    return found


@pytest.mark.parametrize("part", ["mark", "length", "payload"])
def test_a_flipped_bit_costs_one_batch(part: str, tmp_path: Path) -> None:
    """What is behind the damage is read; the file stays under another name, and it is said."""
    path = fill(tmp_path, numbered(1, 3), numbered(4, 3), numbered(7, 3))
    second = places(path)[1]
    spoil(path, second + {"mark": 1, "length": 5, "payload": HEAD_BYTES + 20}[part])
    bench = Bench(tmp_path)
    assert bench.marks == {CLIENT: 9}
    portion = bench.queue.read(1 << 20)
    assert portion is not None
    assert [batch.last for batch in portion.batches] == [3, 9]
    bench.queue.done(portion)
    (told,) = bench.told
    assert "damaged and left out" in told
    if part == "payload":
        assert "x: 3 records" in told
    (aside,) = tmp_path.glob("damaged-x.1-*.queue")
    assert str(aside) in told
    assert bench.files == []


def test_damage_in_a_group_that_was_not_synced_hides_what_is_behind(tmp_path: Path) -> None:
    """After a loss of power nobody is told that something behind a gap is stored."""
    bench = Bench(tmp_path)
    bench.queue.append([numbered(1, 3)])
    bench.queue.append([numbered(4, 3), numbered(7, 3)])
    bench.queue._folder.unlock()
    path = bench.files[-1]
    spoil(path, places(path)[1] + HEAD_BYTES + 20)
    again = Bench(tmp_path)
    assert again.marks == {CLIENT: 3}
    assert "3 records behind it are left out" in again.told[0]
    again.queue.append([numbered(4, 6)])
    assert again.lasts() == [3, 9]
    again.queue.close()
    assert Bench(tmp_path).lasts() == [3, 9]
    assert len(list(tmp_path.glob("damaged-*"))) == 1


def test_an_end_that_was_orderly_tells_damage_from_a_crash(tmp_path: Path) -> None:
    """After a stop all that the file holds was synced: damage in the last group is damage."""
    bench = Bench(tmp_path)
    bench.queue.append([numbered(1, 3), numbered(4, 3), numbered(7, 3)])
    bench.queue.close()
    path = bench.files[-1]
    spoil(path, places(path)[1] + HEAD_BYTES + 20)
    again = Bench(tmp_path)
    assert again.marks == {CLIENT: 9}
    assert again.lasts() == [3, 9]


def test_a_file_of_another_kind_is_set_aside(tmp_path: Path) -> None:
    """What a later version may have written is not thrown away, and is told."""
    path = fill(tmp_path, numbered(1, 3))
    path.write_bytes(b"logd queue 2\n" + bytes(5000))
    bench = Bench(tmp_path)
    assert bench.rest() == []
    assert "can't be read; it is now" in bench.told[0]
    assert len(list(tmp_path.glob("damaged-*"))) == 1


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_flipped_bit_costs_at_most_one_batch(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Wherever a bit flips after a stop, all other batches are read and marked."""
    folder = tmp_path_factory.mktemp("queue")
    path = fill(folder, *(numbered(3 * number + 1, 3) for number in range(5)), durable=False)
    spoil(path, data.draw(st.integers(0, path.stat().st_size - 1)))
    bench = Bench(folder)
    lasts = bench.lasts()
    bench.queue.close()
    assert set(lasts) <= {3, 6, 9, 12, 15}
    assert len(lasts) >= 4
    assert sorted(lasts) == lasts


def test_a_failed_append_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses the sync leaves the queue as it was; later batches go elsewhere."""
    bench = Bench(tmp_path)
    bench.queue.append([numbered(1, 3)])
    real = os.fdatasync

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fdatasync", fail)
    with pytest.raises(QueueFull, match="Input/output error"):
        bench.queue.append([numbered(4, 3)])
    monkeypatch.setattr("os.fdatasync", real)
    bench.queue.append([numbered(4, 2)])
    assert bench.lasts() == [3, 5]
    assert len(bench.files) == 2


POINTS = ("before_create", "after_create", "before_write", "before_sync", "after_sync")


@pytest.mark.parametrize("point", [*POINTS, "before_remove", "after_remove"])
def test_death_at_each_step(point: str, tmp_path: Path) -> None:
    """A process that dies leaves whole batches or none, and goes on in the same order."""
    program = (
        "from pathlib import Path\n"
        "from logd.outputs.diskqueue import DiskQueue\n"
        "from tests.outputs.output_making import numbered\n"
        f"queue = DiskQueue(Path({str(tmp_path)!r}) / 'queue-x.1', 'x', limit_bytes=1 << 20)\n"
        "queue.open()\n"
        "queue.append([numbered(1, 3)])\n"
        "queue.append([numbered(4, 3)])\n"
        "queue.done(queue.read(1 << 20))\n"
    )
    hit = "" if point.endswith(("create", "remove")) else "@2"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "LOGD_FAILPOINTS": f"queue.{point}=kill{hit}"},
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert done.returncode == -9
    bench = Bench(tmp_path)
    found = {"before_create": [], "after_create": [], "before_write": [3], "after_remove": []}
    expected: Sequence[int] = found.get(point, [3, 6])
    assert bench.marks.get(CLIENT, 0) == (expected[-1] if expected else 0)
    bench.queue.append([numbered(7, 1)])
    assert bench.lasts() == [*expected, 7]
    assert not bench.told


@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("hand", ["move", "remove", "remove a file", "exchange"])
def test_somebody_moves_or_removes_the_folder(hand: str, is_read: bool, tmp_path: Path) -> None:
    """What comes is kept under the queue's path, what was moved is read, what is gone told of."""
    bench = Bench(tmp_path, limit_bytes=1 << 20)
    for number in range(1, 81):
        bench.queue.append([make_batch(["x" * 2000], first=number)])
    assert len(bench.files) > 2
    read = bench.queue.read(1) if is_read else None
    if hand == "remove":
        shutil.rmtree(bench.queue.path)
    elif hand == "remove a file":
        bench.files[-1].unlink()
    else:
        bench.queue.path.rename(tmp_path / "elsewhere")
    if hand == "exchange":
        bench.queue.path.mkdir()
    for number in range(81, 91):
        bench.queue.append([make_batch(["x" * 2000], first=number)])
    found: list[int] = []
    if read is not None:
        found += [batch.last for batch in read.batches]
        bench.queue.done(read)
    while (portion := bench.queue.read(1 << 16)) is not None:
        found += [batch.last for batch in portion.batches]
        bench.queue.done(portion)
    assert found == sorted(set(found))
    assert found[-10:] == list(range(81, 91))
    if hand in ("move", "exchange"):
        assert len(found) == 90
        assert "was moved or removed" in bench.told[0]
    else:
        lost = sum(int(number) for text in bench.told for number in LOST.findall(text))
        assert len(found) + lost >= 90
        assert (len(found) == 90) == (lost == 0)
    assert bench.queue.unread_bytes == 0
    assert (bench.queue.status.records, bench.queue.status.bytes) == (0, 0)
    bench.queue.append([numbered(91, 1)])
    bench.queue.close()
    assert Bench(tmp_path).marks == {CLIENT: 91}


def test_what_an_earlier_start_could_not_sync_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a sync that failed the system takes for written what is not: the next start knows."""
    path = fill(tmp_path, numbered(1, 3), closes=False)
    fsync, pwrite = os.fsync, os.pwrite
    story: list[str] = []

    def noted_sync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            story.append("sync")
            if story.count("sync") == 1:
                raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    def noted_write(descriptor: int, data: bytes, place: int) -> int:
        story.append(f"{place}+{len(data)}")
        return pwrite(descriptor, data, place)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "pwrite", noted_write)
    whole = f"0+{path.stat().st_size}"
    with pytest.raises(OSError, match="Input/output"):
        Bench(tmp_path)
    _made.pop().close()
    assert Bench(tmp_path).marks == {CLIENT: 3}
    assert story[:4] == [whole, "sync", whole, "sync"]


@pytest.mark.parametrize("kind", ["a link", "a pipe"])
def test_what_is_planted_in_place_of_a_segment_is_not_used(kind: str, tmp_path: Path) -> None:
    """A link is not followed, a pipe keeps nobody waiting."""
    path = fill(tmp_path, numbered(1, 3))
    path.unlink()
    victim = tmp_path / "victim"
    victim.write_bytes(b"logd queue 1\n")
    if kind == "a link":
        path.symlink_to(victim)
    else:
        os.mkfifo(path)
    bench = Bench(tmp_path)
    assert bench.rest() == []
    bench.queue.append([numbered(1, 1)])
    assert bench.lasts() == [1]
    assert victim.read_bytes() == b"logd queue 1\n"

"""The output to standard output, here the end of a pipe."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.outputs.stdout import StdoutOutput
from tests.outputs.output_making import make_batch, make_settings, numbered

PIPE_BYTES = 65_536


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Two ends of a pipe: to read from, to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass  # closed by the test


def opened(descriptor: int, tmp_path: Path) -> StdoutOutput:
    """An open output that is not patient."""
    output = StdoutOutput(make_settings(tmp_path), descriptor=descriptor, patience_s=0.05)
    assert output.open() == {}
    return output


def read_lines(descriptor: int, count: int) -> list[str]:
    """Read so many lines."""
    data = b""
    while data.count(b"\n") < count:
        data += os.read(descriptor, PIPE_BYTES)
    return data.decode().splitlines()


def test_entries_arrive(pipe: tuple[int, int], tmp_path: Path) -> None:
    """Each record is a line for whoever reads."""
    output = opened(pipe[1], tmp_path)
    output.write([numbered(1, 2), make_batch(["two\nlines"])])
    lines = read_lines(pipe[0], 4)
    assert "record 1" in lines[0]
    assert lines[3] == "  | lines"
    assert output.status().written == 3
    output.forget([])
    output.close()


@pytest.mark.parametrize("blocking", [True, False])
def test_slow_reader_makes_it_unavailable(
    blocking: bool, pipe: tuple[int, int], tmp_path: Path
) -> None:
    """A full pipe never blocks for good; when it is read again every entry is whole and once."""
    os.set_blocking(pipe[1], blocking)
    output = opened(pipe[1], tmp_path)
    batches = [numbered(first, 100) for first in range(1, 5001, 100)]
    with pytest.raises(OutputUnavailable, match="nobody reads") as caught:
        output.write(batches)
    assert 0 < caught.value.batches_done < len(batches)
    batches = batches[caught.value.batches_done :]
    with pytest.raises(OutputUnavailable) as caught:
        output.write(batches)
    assert (caught.value.batches_done, caught.value.rows_done) == (0, 0)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(read_lines(pipe[0], 5000)))
    reader.start()
    while batches:
        try:
            output.write(batches)
            batches = []
        except OutputUnavailable as exc:
            batches = batches[exc.batches_done :]
    reader.join()
    numbers = [int(line.split("#")[1].split()[0]) for line in found]
    assert numbers == list(range(1, 5001))
    assert os.get_blocking(pipe[1]) is blocking


def test_reader_that_hung_up(
    pipe: tuple[int, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for a reader who is gone; it is said once."""
    output = opened(pipe[1], tmp_path)
    os.close(pipe[0])
    for first in range(1, 30, 10):
        output.write([numbered(first, 10)])
    assert [record.getMessage() for record in caplog.records] == [
        "stdout: the reader hung up; nothing more is written there"
    ]
    status = output.status()
    assert status.details == {"lost": "30"}
    assert status.last_error is not None
    output.close()


def test_end_of_the_last_entry(pipe: tuple[int, int], tmp_path: Path) -> None:
    """Closing writes the end of what was begun, if somebody reads it."""
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4096)
    output = opened(pipe[1], tmp_path)
    with pytest.raises(OutputUnavailable):
        output.write([make_batch(["x" * 9000])])
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(read_lines(pipe[0], 1)))
    reader.start()
    output.close()
    reader.join()
    assert "x" * 9000 in found[0]


def test_regular_file(tmp_path: Path) -> None:
    """Redirected to a file, entries go there in large pieces."""
    with (tmp_path / "out").open("wb") as file:
        output = opened(file.fileno(), tmp_path)
        output.write([numbered(1, 1000)])
        output.close()
    assert (tmp_path / "out").read_bytes().count(b"\n") == 1000


def test_closed_descriptor_is_unusable(tmp_path: Path) -> None:
    """A daemon started without a standard output says so."""
    with pytest.raises(OutputUnusable, match="stdout is closed"):
        opened(1_000_000, tmp_path)

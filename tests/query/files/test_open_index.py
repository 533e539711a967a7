"""The file that is written to has an index of its beginning; answers are those without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logd.query.files import indexing, indexkeeping, raw, sidecar
from logd.query.files.indexkeeping import keep
from logd.query.files.listing import RingFiles
from logd.query.files.source import FileSource
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.text.lines import LineFormat
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import START, Notes, record

BLOCK_BYTES = 700


@pytest.fixture(autouse=True)
def small_blocks() -> Iterator[None]:
    """Blocks of a few entries; each of them is a portion."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (raw, indexing, indexkeeping):
            patch.setattr(module, "BLOCK_BYTES", BLOCK_BYTES)
        patch.setattr(indexing, "MIN_INDEXED_BYTES", 1)
        patch.setattr("logd.query.files.ways.MIN_INDEXED_BYTES", 1)
        patch.setattr(indexkeeping, "MIN_PORTION_BYTES", 1)
        patch.setattr(sidecar, "SEAM_BYTES", 100)
        yield


def _lines(first: int, last: int, cats: str = "EIIW") -> bytes:
    line_format = LineFormat(DEFAULT_FORMAT)
    return b"".join(
        line_format.encode_batch(record(n, cat=cats[n % len(cats)], time=START + n * 7))
        for n in range(first, last)
    )


def _source(folder: Path, name: str = "app_%d.log") -> FileSource:
    return FileSource(str(folder / name), Notes())


def _keep(folder: Path, name: str = "app_%d.log") -> list[str]:
    return [ref.path.name for ref in keep(RingFiles(str(folder / name)))]


def _answers(folder: Path, wanted: str = "", since: float | None = None) -> Any:
    source = _source(folder)
    selection = Selection(since=since, terms=parse(wanted))
    summary = source.summarise(selection, step="minute", keys=["cat", "site"])
    placed = list(source.placed(selection))
    assert list(source.placed(selection, newest_first=True)) == placed[::-1]
    return summary, placed


def _scanned(folder: Path, wanted: str = "", since: float | None = None) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logd.query.files.ways.can_index", lambda _reader: False)
        return _answers(folder, wanted, since)


@given(
    portions=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    wanted=st.sampled_from(["", "cat:E", '"record 2"', "cat:C"]),
    since=st.sampled_from([None, START, START + 140.0, START + 700.5]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_the_same_as_it_grows(
    tmp_path: Path, portions: list[int], wanted: str, since: float | None
) -> None:
    """After each portion; and the index that is finished is the one that is made at once."""
    for path in tmp_path.iterdir():
        path.unlink()
    log = tmp_path / "app_1.log"
    written = 0
    for portion in portions:
        with log.open("ab") as file:
            file.write(_lines(written, written + portion))
        written += portion
        _keep(tmp_path)
        assert _answers(tmp_path, wanted, since) == _scanned(tmp_path, wanted, since)
    (tmp_path / "app_2.log").write_bytes(_lines(written, written + 1))
    _keep(tmp_path)
    index = sidecar.path_beside(str(log))
    grown = index.read_bytes() if index.exists() else b""
    index.unlink(missing_ok=True)
    _keep(tmp_path)
    assert (index.read_bytes() if index.exists() else b"") == grown


def _grown(folder: Path) -> tuple[Path, Path]:
    """A log of one file that has an open index; the file and the index."""
    log = folder / "app_1.log"
    log.write_bytes(_lines(0, 100))
    assert _keep(folder) == ["app_1.log"]
    return log, sidecar.path_beside(str(log))


def _read_bytes(folder: Path) -> int:
    """How many blocks are read to count by category."""
    told: list[float] = []
    summary = _source(folder).summarise(Selection(until=START * 2), keys=["cat"], watch=told.append)
    assert sum(summary.facets["cat"].values()) == summary.total
    return len(told)


def test_only_what_came_since_is_read(tmp_path: Path) -> None:
    """The blocks of the index are counted, those behind it are read."""
    log, index = _grown(tmp_path)
    blocks = log.stat().st_size // BLOCK_BYTES
    assert _read_bytes(tmp_path) <= indexing.OPEN_BLOCKS + 1 < blocks
    index.unlink()
    assert _read_bytes(tmp_path) >= blocks


def test_another_run_of_the_machine_makes_it_useless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power loss the end may be another, so all of it is read; then there is a new one."""
    log, _ = _grown(tmp_path)
    blocks = log.stat().st_size // BLOCK_BYTES
    monkeypatch.setattr(sidecar, "boot_id", lambda: "another")
    assert _read_bytes(tmp_path) >= blocks
    assert _keep(tmp_path) == ["app_1.log"]
    assert _read_bytes(tmp_path) < blocks


@pytest.mark.parametrize("keeps", [0.5, 0.9])
def test_a_file_that_was_cut_and_went_on_otherwise(tmp_path: Path, keeps: float) -> None:
    """An index whose end is no longer what stood there is none."""
    log, _ = _grown(tmp_path)
    data = log.read_bytes()
    cut = data.rindex(b"\n", 0, int(len(data) * keeps)) + 1
    log.write_bytes(data[:cut])
    assert _answers(tmp_path) == _scanned(tmp_path)
    with log.open("ab") as file:
        file.write(_lines(500, 600, "C"))
    assert _answers(tmp_path) == _scanned(tmp_path)


def test_a_reader_makes_it_longer(tmp_path: Path) -> None:
    """Who counts all of a log without a daemon leaves the index for the next one."""
    log = tmp_path / "app_1.log"
    log.write_bytes(_lines(0, 50))
    assert _source(tmp_path).summarise(keys=["cat"]).total == 50
    first = sidecar.path_beside(str(log)).stat().st_size
    with log.open("ab") as file:
        file.write(_lines(50, 100))
    assert _source(tmp_path).summarise(keys=["cat"]).total == 100
    assert sidecar.path_beside(str(log)).stat().st_size > first
    assert _read_bytes(tmp_path) <= indexing.OPEN_BLOCKS + 1


def test_a_plain_name_takes_it_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun as app.log is finished as app.log.1, not made anew."""
    log = tmp_path / "app.log"
    log.write_bytes(_lines(0, 100))
    assert _keep(tmp_path, "app.log") == ["app.log"]
    log.rename(tmp_path / "app.log.1")
    log.write_bytes(_lines(100, 101))
    begun: list[bool] = []

    def build(*arguments: Any, **more: Any) -> bytes:
        begun.append(more["begun"] is not None)
        return indexing.build(*arguments, **more)

    monkeypatch.setattr(indexkeeping, "build", build)
    assert _keep(tmp_path, "app.log") == ["app.log.1"]
    assert begun[0]
    told: list[float] = []
    assert _source(tmp_path, "app.log").summarise(watch=told.append).total == 101
    assert len(told) == 1


def test_verify_looks_at_it(tmp_path: Path) -> None:
    """One that is right has no fault, one that says something else has."""
    log, index = _grown(tmp_path)
    assert [checked.faults for checked in _source(tmp_path).verify()] == [()]
    with log.open("ab") as file:
        file.write(_lines(100, 120))
    assert [checked.faults for checked in _source(tmp_path).verify()] == [()]
    data = log.read_bytes()
    # Same length, same end: what only a look at all of it tells.
    middle = data[500:2000].replace(b" E ", b" C ")
    log.write_bytes(data[:500] + middle + data[2000:])
    assert index.exists()
    (checked,) = _source(tmp_path).verify()
    assert "is not what the file says" in checked.faults[0]

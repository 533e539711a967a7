"""With the index of a file the answers are those without it, and quicker."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logd.outputs.files import zstd
from logd.query.barsteps import Step
from logd.query.files import indexing, raw, sidecar
from logd.query.files.source import FileSource
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.query.summaries import Key
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.logfmtlines import LogfmtFormat
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import START, Notes, record

KEYS: list[Key] = ["cat", "host", "logger", ("site", "host"), ("minute", "logger"), "day"]
STEPS: list[Step | None] = [None, "minute", "hour", "day", "auto", 60, 300, 5]
WANTED = ["", "cat:E", "-cat:E", "host:-", "logger:-", "-logger:a.b", "logger:a*", "site:/a/",
          "item.logger:a.b", "-host:10.0.0.7 cat:E", "user:ann", "failed"]  # fmt: skip
LOGGERS = st.sampled_from([None, "a.b", "a", "-", "", 3, True, 'x "y"', "\\t", ["a"]])
LINES = st.builds(
    lambda time, cat, msg, peer, logger, path: record(
        7,
        cat=cat,
        msg=msg,
        peer=peer,
        special={"user": "ann"} if logger is None else {"logger": logger, "n": 1},
        time=START + time,
        path=path,
    ),
    # Late ones, those of the same time, and those of the edges of a minute.
    st.one_of(st.integers(-100, 5000), st.sampled_from([59.999_999, 60.0, 60.000_001, 119.999])),
    st.sampled_from(["E", "W", "", "long name"]),
    st.sampled_from(["ok", "failed\nin two lines", "logger=x"]),
    st.sampled_from(["", "10.0.0.7", "-"]),
    LOGGERS,
    st.sampled_from([(), (("/srv/a.py", 1),), (("/srv/a\\t.py", 2), ("b.py", 3))]),
)
STRANGERS = st.sampled_from([
    b"what others wrote\n", b"\n", b"2026-13-45T99:00:00.000+0000\n", b"\xff\xfe\n",
    b"2026-09-21T16:20:00.125+0200 E 7#1 old\tMain\tf\tviews.py(42)\tlogger=ann\n",
])  # fmt: skip
FORMATS = (LineFormat(DEFAULT_FORMAT), JsonFormat(), LogfmtFormat())
LOGS = st.builds(
    lambda line_format, found: b"".join(
        one if isinstance(one, bytes) else line_format.encode_batch(one) for one in found
    ),
    st.sampled_from(FORMATS),
    st.lists(st.one_of(LINES, LINES, LINES, STRANGERS), min_size=1, max_size=40),
)
TIMES = st.one_of(st.none(), st.sampled_from([0.0, 60.0, 59.9995, 61.25, 1000.0, 4000.0]))


@pytest.fixture(autouse=True)
def small_blocks() -> Iterator[None]:
    """Blocks of a few entries; every closed file is large enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", 700)
        patch.setattr(indexing, "MIN_INDEXED_BYTES", 1)
        yield


def _answers(folder: Path, selection: Selection, step: Step | None, keys: Sequence[Key]) -> object:
    source = FileSource(str(folder / "app_%d.log"), Notes())
    summary = source.summarise(selection, step=step, keys=keys)
    forwards = list(source.placed(selection))
    backwards = list(source.placed(selection, newest_first=True))
    assert backwards == forwards[::-1]
    end = forwards[len(forwards) // 2].position if forwards else None
    part = source.summarise(selection, step=step, keys=keys, end=end)
    return summary, part, forwards


def _without_index(
    folder: Path, selection: Selection, step: Step | None, keys: Sequence[Key]
) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logd.query.files.ways.can_index", lambda _reader: False)
        return _answers(folder, selection, step, keys)


def _write(folder: Path, log: bytes, suffix: str = "") -> Path:
    packed = {
        "": lambda: log,
        ".zst": lambda: zstd.compress(log),
        ".gz": lambda: zlib.compress(log, wbits=31),
    }[suffix]()
    for path in folder.iterdir():
        path.unlink()
    closed, current = folder / f"app_1.log{suffix}", folder / "app_2.log"
    closed.write_bytes(packed)
    current.write_bytes(log[: log.find(b"\n") + 1])
    os.utime(closed, (START + 6000, START + 6000))
    os.utime(current, (START + 7000, START + 7000))
    return closed


@given(
    log=LOGS,
    suffix=st.sampled_from(["", "", ".zst", ".gz"]),
    wanted=st.sampled_from(WANTED),
    since=TIMES,
    until=TIMES,
    step=st.sampled_from(STEPS),
    keys=st.lists(st.sampled_from(KEYS), max_size=2, unique=True),
)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_the_same(
    tmp_path: Path,
    log: bytes,
    suffix: str,
    wanted: str,
    since: float | None,
    until: float | None,
    step: Step | None,
    keys: list[Key],
) -> None:
    """Counts and entries of any log, late records too, are those of a scan."""
    _write(tmp_path, log, suffix)
    selection = Selection(
        since=None if since is None else START + since,
        until=None if until is None else START + until,
        terms=parse(wanted),
    )
    expected = _without_index(tmp_path, selection, step, keys)
    # The first reader of everything makes the index, the others have it.
    FileSource(str(tmp_path / "app_%d.log"), Notes()).summarise(keys=["cat"])
    assert _answers(tmp_path, selection, step, keys) == expected


LOG = LineFormat(DEFAULT_FORMAT).encode_batch(record(1)) * 20
EVERYTHING = (Selection(), "minute", ["cat"])


def _index_of(closed: Path) -> Path:
    return closed.with_name(f".app_1.log{sidecar.SUFFIX}")


def test_the_first_reader_makes_it(tmp_path: Path) -> None:
    """Who counts all of a closed file leaves an index that has the file's mode, and is used."""
    closed = _write(tmp_path, LOG)
    closed.chmod(0o640)
    FileSource(str(tmp_path / "app_%d.log"), Notes()).summarise(keys=["cat"])
    assert _index_of(closed).stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.glob(".*")] == [".app_1.log.idx"]
    told: list[float] = []
    source = FileSource(str(tmp_path / "app_%d.log"), Notes())
    assert source.summarise(keys=["cat"], watch=told.append).total == 21
    assert len(told) == 1, "only the current file is read"


@pytest.mark.parametrize("place", [0, 14, 20, 40, 100, -100, -30, -1])
def test_a_damaged_one_is_none(tmp_path: Path, place: int) -> None:
    """Whichever byte is wrong: the log itself is read."""
    closed = _write(tmp_path, LOG)
    expected = _answers(tmp_path, *EVERYTHING)
    data = bytearray(_index_of(closed).read_bytes())
    data[place] ^= 0x55
    _index_of(closed).write_bytes(data)
    assert _answers(tmp_path, *EVERYTHING) == expected


def test_one_that_was_cut_off_is_none(tmp_path: Path) -> None:
    """However little of it is there: the log itself is read."""
    closed = _write(tmp_path, LOG)
    expected = _answers(tmp_path, *EVERYTHING)
    data = _index_of(closed).read_bytes()
    for size in (0, 5, 20, len(data) - 1):
        _index_of(closed).write_bytes(data[:size])
        assert _answers(tmp_path, *EVERYTHING) == expected


def test_an_appended_file_has_none(tmp_path: Path) -> None:
    """What came to a file after its index was made is found, though its time is as before."""
    closed = _write(tmp_path, LOG)
    source = FileSource(str(tmp_path / "app_%d.log"), Notes())
    assert source.summarise().total == 21
    state = closed.stat()
    with closed.open("ab") as file:
        file.write(LOG)
    os.utime(closed, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert source.summarise().total == 41


def test_the_next_file_of_the_name_has_none(tmp_path: Path) -> None:
    """A ring that came round has other files of the same names."""
    _write(tmp_path, LOG)
    index = _index_of(tmp_path / "app_1.log")
    FileSource(str(tmp_path / "app_%d.log"), Notes()).summarise()
    old = index.read_bytes()
    other = LineFormat(DEFAULT_FORMAT).encode_batch(record(2)) * 20
    assert len(other) == len(LOG)
    _write(tmp_path, other)
    index.write_bytes(old)
    found = FileSource(str(tmp_path / "app_%d.log"), Notes()).summarise(step=60)
    assert set(found.bars) == {START}
    assert index.read_bytes() != old


def test_compression_leaves_it(tmp_path: Path) -> None:
    """A file that is compressed after its index was made still has it."""
    closed = _write(tmp_path, LOG)
    FileSource(str(tmp_path / "app_%d.log"), Notes()).summarise()
    state = closed.stat()
    packed = closed.with_name("app_1.log.zst")
    packed.write_bytes(zstd.compress(LOG))
    os.utime(packed, ns=(state.st_atime_ns, state.st_mtime_ns))
    closed.unlink()
    told: list[float] = []
    source = FileSource(str(tmp_path / "app_%d.log"), Notes())
    assert source.summarise(watch=told.append).total == 21
    assert len(told) == 1


def test_a_folder_that_takes_nothing_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that may not write beside the log gets its answer."""

    def refused(*_arguments: object) -> None:
        raise PermissionError

    _write(tmp_path, LOG)
    monkeypatch.setattr(sidecar, "save", refused)
    assert FileSource(str(tmp_path / "app_%d.log"), Notes()).summarise().total == 21

"""`logd disk` and `logd verify` with logs that are whole, and with some that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from logd.cli import disk
from logd.cli.commands import logd
from logd.outputs.tables.output import TableOutput
from logd.query.inventory import StoredPiece
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.lines import CallableFormat
from tests.outputs.output_making import make_settings
from tests.query.log_making import log_files, records, write_log


def _run(command: str, pattern: Path, *more: str) -> Result:
    environment = {"TZ": "UTC"}
    return CliRunner().invoke(logd, [command, "--file", str(pattern), *more], env=environment)


@pytest.fixture
def pattern(tmp_path: Path) -> Path:
    """A log of three files of ten records, the last of which is written to."""
    pattern = tmp_path / "logs" / "app_%d.log"
    pattern.parent.mkdir()
    write_log(pattern, records(1, 30), lines=10, compress="none")
    return pattern


def test_a_whole_log_is_right(pattern: Path) -> None:
    """Each file is named with its records, and so is the journal; the status is 0."""
    result = _run("verify", pattern)
    assert result.exit_code == 0, result.output
    assert result.output.count("right  ") == 4
    assert result.output.count("10 records") == 3
    assert "wrong" not in result.output


@pytest.mark.parametrize("command", ["disk", "verify"])
def test_no_log_at_all(command: str, tmp_path: Path) -> None:
    """A name that was misspelt does not pass for a log that is whole."""
    pattern = tmp_path / "nothing_%d.log"
    result = _run(command, pattern)
    assert result.exit_code == 1
    assert f"nothing to read: there is no file {pattern}" in result.stderr


@pytest.mark.parametrize(("width", "lines"), [(None, 1), (100, 1), (60, 2), (40, 3)])
def test_a_file_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int | None, lines: int
) -> None:
    """Name, size, times and records of a file are all there, on as many lines as it takes."""
    monkeypatch.setattr(disk, "_width", lambda: width)
    shown = disk._lines(StoredPiece("logd_0.log", 9 << 20, "closed", 0.0, 1e8, 50_000))
    assert len(shown) == lines
    assert all(len(line) <= (width or 1000) for line in shown)
    text = "\n".join(shown)
    for part in ("9.0 MiB  closed", "logd_0.log", "1970-01-01", "1973-03-03", "50,000 records"):
        assert part in text


def test_a_compressed_log_is_right(tmp_path: Path) -> None:
    """What compression made counts as what it was made of."""
    pattern = tmp_path / "app_%d.log"
    write_log(pattern, records(1, 30), lines=10, compress="zstd")
    result = _run("verify", pattern)
    assert result.exit_code == 0, result.output
    assert "right  app_1.log.zst, 10 records" in result.output


def test_a_log_that_is_written_to_is_right(tmp_path: Path) -> None:
    """The daemon may have the log open."""
    pattern = tmp_path / "app_%d.log"
    with log_files(pattern, lines=10) as output:
        output.write(records(1, 25))
        assert _run("verify", pattern).exit_code == 0


def _damage(pattern: Path, name: str, change: bytes) -> None:
    path = pattern.parent / name
    data = path.read_bytes()
    match change:
        case b"cut":
            path.write_bytes(data[:-20])
        case b"less":
            path.write_bytes(data[data.index(b"\n") + 1 :])
        case b"flip":
            path.write_bytes(data[:-30] + b"?" + data[-29:])
        case b"remove":
            path.unlink()
        case _:
            path.write_bytes(data + change)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("app_1.log", b"cut", "torn: its last"),
        ("app_1.log", b"less", "are not what the journal says"),
        ("app_1.log", b"a stranger's line\n", "foreign: 1 of its entries"),
        ("app_2.log", b"flip", "torn: its"),
        ("app_2.log", b"remove", "missing: the journal says that it is written to"),
        (".app_%d.log.journal", b"remove", ""),
    ],
)
def test_what_is_wrong_is_told(pattern: Path, name: str, change: bytes, told: str) -> None:
    """A file that was cut, changed, added to or removed is named, and the status is 1."""
    _damage(pattern, name, change)
    result = _run("verify", pattern)
    assert told in result.output
    assert result.exit_code == (1 if told else 0), result.output


def test_lines_of_an_earlier_format_are_no_strangers(tmp_path: Path) -> None:
    """The journal knows that the daemon wrote them; what it did not write is told as before."""
    pattern = tmp_path / "app_%d.log"
    own = CallableFormat(lambda job: f"{job.cat}:{job.msg}", lambda: 0)
    with log_files(pattern, lines=10, line_format=own) as output:
        output.write(records(1, 15))
    with log_files(pattern, lines=10) as output:
        output.write(records(16, 17))
    result = _run("verify", pattern)
    assert result.exit_code == 0, result.output
    assert "10 of its entries are in another format (line_format)" in result.output
    _damage(pattern, "app_0.log", b"a stranger's line\n")
    result = _run("verify", pattern)
    assert result.exit_code == 1
    assert "foreign: 11 of its entries are no lines of logd" in result.output


def test_a_lost_record_is_told(pattern: Path) -> None:
    """The journal counts the records of closed files, whose blocks it forgets in time."""
    with log_files(pattern, lines=10):
        pass  # which begins a fresh journal
    _damage(pattern, "app_1.log", b"less")
    result = _run("verify", pattern)
    assert result.exit_code == 1
    assert "missing: the journal counted 10 records, it has 9" in result.output


def test_a_file_of_others_is_told(pattern: Path) -> None:
    """A file that only has a name like the log's is foreign."""
    (pattern.parent / "app_77.log").write_bytes((pattern.parent / "app_1.log").read_bytes())
    result = _run("verify", pattern)
    assert result.exit_code == 1
    assert "foreign: the journal does not know it" in result.output


def test_what_can_not_be_unpacked_is_told(tmp_path: Path) -> None:
    """A compressed file that was cut off is unreadable from some byte on."""
    pattern = tmp_path / "app_%d.log"
    write_log(pattern, records(1, 30), lines=10, compress="gzip")
    path = tmp_path / "app_0.log.gz"
    path.write_bytes(path.read_bytes()[:-9])
    result = _run("verify", pattern, "--json")
    assert result.exit_code == 1
    rows = [json.loads(line) for line in result.output.splitlines()]
    assert [row["name"] for row in rows if row["faults"]] == ["app_0.log.gz"]
    assert rows[0]["faults"][0].startswith("unreadable after")


def test_tables_are_counted(tmp_path: Path) -> None:
    """A table with fewer rows than the catalogue says, or none at all, is wrong."""
    url = f"sqlite:///{tmp_path}/log.db"
    settings = make_settings(
        tmp_path,
        rotation=RotationPolicy(lines=10),
        retention=Retention(count=5),
        table_pattern="log_%d",
    )
    output = TableOutput(url, settings)
    output.open()
    for batch in records(1, 25):
        output.write([batch])
    output.close()
    runner, engine = CliRunner(), create_engine(url)
    result = runner.invoke(logd, ["verify", "--db", url])
    assert result.exit_code == 0, result.output
    assert result.output.count("right  log_") == 3
    tables = [line.split()[1].rstrip(",") for line in result.output.splitlines()]
    with engine.begin() as connection:
        connection.execute(text(f"DELETE FROM {tables[0]} WHERE id % 2 = 0"))
        connection.execute(text(f"DROP TABLE {tables[1]}"))
    engine.dispose()
    result = runner.invoke(logd, ["verify", "--db", url])
    assert result.exit_code == 1
    assert "missing: the catalogue counted 10 records, it has 5" in result.output
    assert "missing: the catalogue has it, the database has not" in result.output
    shown = runner.invoke(logd, ["disk", "--db", url])
    assert shown.exit_code == 0
    assert "10 records" in shown.output


def test_disk_shows_all_that_is_there(pattern: Path) -> None:
    """Files with their times, what lies beside them, and the bytes of each day."""
    (pattern.parent / "app_1.log.torn").write_bytes(b"x" * 100)
    result = _run("disk", pattern)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "app_%d.log" in lines[0]
    assert [word for line in lines[1:4] for word in line.split() if word.startswith("app_")] == [
        "app_0.log",
        "app_1.log",
        "app_2.log",
    ]
    assert "100 B  torn        app_1.log.torn" in result.output
    assert "journal" in result.output
    assert "bytes on disk by the day" in result.output


def test_disk_as_json(pattern: Path) -> None:
    """One object for each file, with sizes in bytes and times in seconds."""
    rows = [json.loads(line) for line in _run("disk", pattern, "--json").output.splitlines()]
    first = rows[0]
    assert (first["name"], first["kind"]) == ("app_0.log", "closed")
    assert first["size"] == (pattern.parent / "app_0.log").stat().st_size
    assert isinstance(first["first"], float)

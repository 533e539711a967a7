"""A regular expression that would need years ends after its time, and leaves no trace."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from logd.cli import main
from logd.outputs.tables.output import TableOutput
from logd.query import patience as patience_module
from logd.query.files.source import FileSource
from logd.query.patience import Patience, TooSlow
from logd.query.selection import Selection
from logd.query.tables.source import TableSource
from logd.query.terms import Term
from tests.outputs.output_making import make_settings
from tests.query.log_making import Notes, record, write_log

EXPLODING = Term("text", "~", "(a+)+$")


@pytest.fixture(params=["files", "tables"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> FileSource | TableSource:
    """A log with a message that some expressions take years for."""
    batches = [record(1, msg="fine aaa"), record(2, msg="a" * 40 + "b")]
    if request.param == "files":
        write_log(tmp_path / "app_%d.log", batches)
        return FileSource(str(tmp_path / "app_%d.log"), Notes())
    url = f"sqlite:///{tmp_path}/log.db"
    output = TableOutput(url, make_settings(tmp_path, table_pattern="log_%d"))
    output.open()
    output.write(batches)
    output.close()
    return TableSource(url, Notes(), pattern="log_%d")


def test_it_ends(source: FileSource | TableSource) -> None:
    """What was found before is there; then the search ends, says where, and all is as before."""
    handler = signal.getsignal(signal.SIGALRM)
    begun = time.monotonic()
    with Patience(0.2) as patience:
        found = source.entries(replace(Selection(terms=(EXPLODING,)), patience=patience))
        if isinstance(source, TableSource):
            assert next(found).msgid == 1
        with pytest.raises(TooSlow, match="41 characters"):
            list(found)
        counted = replace(Selection(terms=(EXPLODING,)), patience=patience)
        with pytest.raises(TooSlow):
            source.summarise(counted)
    assert time.monotonic() - begun < 60
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_takes_its_time_is_left_alone(source: FileSource | TableSource) -> None:
    """Single comparisons are bounded, not the search; and nothing is in another thread."""
    with Patience(0.4) as patience:
        calm = Selection(terms=(Term("text", "~", "^fine a+"),), patience=patience)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            assert [entry.msgid for entry in source.entries(calm)] == [1]
    source.close()
    ended: list[bool] = []

    def elsewhere() -> None:
        with Patience(0.1):
            ended.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert ended == [True]


def test_the_command_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`logd query` fails with a word that helps."""
    write_log(tmp_path / "app_%d.log", [record(2, msg="a" * 40 + "b")])
    monkeypatch.setattr(patience_module, "LIMIT_S", 0.2)
    status = main(["query", "--file", str(tmp_path / "app_%d.log"), "--grep", "(a+)+$"])
    assert status == 1
    assert "try a text" in capfd.readouterr().err

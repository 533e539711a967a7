import errno
import gc
import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logd import appending, filewriter
from logd.filewriter import (
    FileClosedEvent,
    FileConfig,
    FileLogWriter,
)
from logd.textwriter import Formatter, WriterClosed
from tests.descriptors import open_below
from tests.file_reading import message_only, read
from tests.record_making import make_batch, make_job


@pytest.fixture
def _small_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 1000 bytes."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


# -- configuration ----------------------------------------------------------------------------


def test_file_config() -> None:
    """FileConfig(filepath, drop=True, lazy=True) "describes a single log file"."""
    config = FileConfig("a.log")
    assert (config.filepath, config.drop, config.lazy) == ("a.log", True, True)
    assert repr(config) == "FileConfig('a.log', drop=True, lazy=True)"


def test_file_closed_event() -> None:
    """FileClosedEvent has "full log filename incl.path" and "line count of the closed file"."""
    event = FileClosedEvent("/var/log/a.log", 3)
    assert (event.filePath, event.lineCount) == ("/var/log/a.log", 3)
    assert repr(event) == "FileClosedEvent('/var/log/a.log', 3)"


def test_lazy(tmp_path: Path) -> None:
    """lazy: "file is opened with first log entry (default)"; False: "opened immediately"."""
    FileLogWriter(FileConfig(tmp_path / "eager", lazy=False))
    writer = FileLogWriter(FileConfig(tmp_path / "lazy"))
    assert read(tmp_path) == {"eager": []}
    writer.writeNow(make_job())
    assert len(read(tmp_path)["lazy"]) == 1


def test_drop(tmp_path: Path) -> None:
    """drop: "Append lines to existing log file" or "clears the existing logfile"."""
    path = tmp_path / "a.log"
    for drop, expected in [(True, ["x"]), (False, ["x", "x"]), (True, ["x"])]:
        writer = FileLogWriter(FileConfig(path, drop=drop), message_only)
        writer.writeNow(make_job("x"))
        assert path.read_text().splitlines() == expected


def test_torn_last_line(tmp_path: Path) -> None:
    """A last line that a crash left torn does not swallow the first record appended."""
    path = tmp_path / "a.log"
    path.write_text("whole\ntor")
    events: list[FileClosedEvent] = []
    writer = FileLogWriter(FileConfig(path, drop=False), message_only, events.append)
    writer.writeNow(make_job("new"))
    assert path.read_text() == "whole\ntor\nnew\n"
    writer.close()
    assert events[0].lineCount == 3


# -- the writer -------------------------------------------------------------------------------


def test_write_now(tmp_path: Path) -> None:
    """writeNow: "Write without buffering, return when written"; the line is complete then."""
    path = tmp_path / "a.log"
    writer = FileLogWriter(FileConfig(path))
    writer.writeNow(make_job("caf\u00e9 \udc80", ts="11:10"))
    where = "123000 9\tMainThread\tcharge\tviews.py(42)<-urls.py(10)"
    text = f"11:10 E 4711#17 caf\u00e9 \\udc80\t{where}\t\n"
    assert path.read_bytes() == text.encode()
    assert writer.estimateLineCount() == 1


def test_write_batch(tmp_path: Path) -> None:
    """A batch is in the file when the call returns, an entry a record."""
    writer = FileLogWriter(FileConfig(tmp_path / "a.log"), Formatter("%(msgid)d %(message)s"))
    writer.write_batch(make_batch(3))
    assert read(tmp_path)["a.log"] == ["1 message 0", "2 message 1", "3 message 2"]
    assert writer.estimateLineCount() == 3


def test_format_line_with_line_count(tmp_path: Path) -> None:
    """A layout that wants the line count gets that of its file."""
    writer = FileLogWriter(FileConfig(tmp_path / "a.log"), lambda job, count: f"{count} {job.msg}")
    writer.writeNow(make_job("x"))
    writer.write_batch(make_batch(2))
    assert read(tmp_path)["a.log"] == ["0 x", "1 message 0", "2 message 1"]


def test_close(tmp_path: Path) -> None:
    """close reports the file once, with its entries; then the writer takes no more."""
    events: list[FileClosedEvent] = []
    path = tmp_path / "a.log"
    writer = FileLogWriter(FileConfig(path), fileClosed=events.append)
    writer.write_batch(make_batch(2, msg=["one\ntwo", "three"]))
    writer.close()
    writer.close()
    assert [(event.filePath, event.lineCount) for event in events] == [(str(path), 2)]
    with pytest.raises(WriterClosed, match=r"a\.log"):
        writer.writeNow(make_job())


def test_close_of_a_file_never_opened(tmp_path: Path) -> None:
    """A lazy file that was never written is not created and not reported."""
    events: list[FileClosedEvent] = []
    FileLogWriter(FileConfig(tmp_path / "a.log"), fileClosed=events.append).close()
    assert events == []
    assert read(tmp_path) == {}


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7, 1 << 20])
def test_line_count_of_an_appended_file(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of a file that was appended to includes the entries it had, not their lines."""
    monkeypatch.setattr(appending, "_BLOCK", block)
    path = tmp_path / "a.log"
    path.write_text("one\n  | more\n  | more\n\ntwo   |\n  | \nthree\n")
    events: list[FileClosedEvent] = []
    writer = FileLogWriter(FileConfig(path, drop=False), fileClosed=events.append)
    writer.write_batch(make_batch(2, msg=["a\nb", "c"]))
    writer.close()
    assert events[0].lineCount == 6


def test_rights_of_new_files(tmp_path: Path) -> None:
    """Files are created 0640, less what the umask takes."""
    for mask, mode in [(0o000, 0o640), (0o077, 0o600)]:
        before = os.umask(mask)
        try:
            FileLogWriter(FileConfig(tmp_path / f"{mask}.log", lazy=False))
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask}.log").stat().st_mode) == mode


def test_no_writing_through_links(tmp_path: Path) -> None:
    """A symbolic link planted in the log folder is refused, and what it points to is unharmed."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.log").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link") as caught:
        FileLogWriter(FileConfig(tmp_path / "a.log", lazy=False))
    assert caught.value.errno == errno.ELOOP
    assert caught.value.filename == str(tmp_path / "a.log")
    assert victim.read_text() == "precious"


def test_missing_folder(tmp_path: Path) -> None:
    """The error of a file that can't be opened names it."""
    writer = FileLogWriter(FileConfig(tmp_path / "no" / "a.log"))
    with pytest.raises(FileNotFoundError, match=r"no/a\.log"):
        writer.writeNow(make_job())
    (tmp_path / "no").mkdir()
    writer.writeNow(make_job())
    assert writer.estimateLineCount() == 1


def test_devices_can_be_written(tmp_path: Path) -> None:
    """A device is written to like a file that can't be cleared."""
    FileLogWriter(FileConfig("/dev/null")).writeNow(make_job())


@pytest.mark.usefixtures("_small_disk")
def test_full_disk_leaves_no_partial_line(tmp_path: Path) -> None:
    """What did not fit is taken back whole and can be given again when there is room."""
    path = tmp_path / "a.log"
    writer = FileLogWriter(FileConfig(path), message_only)
    writer.write_batch(make_batch(2))
    before = path.read_bytes()
    batch = make_batch(100)
    with pytest.raises(OSError, match="too large") as caught:
        writer.write_batch(batch)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == before
    assert writer.estimateLineCount() == 2
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    writer.write_batch(batch)
    assert len(path.read_bytes().splitlines()) == 102


def test_descriptor_goes_with_the_writer(tmp_path: Path) -> None:
    """A writer that is let go without close leaves no descriptor behind."""
    for number in range(20):
        FileLogWriter(FileConfig(tmp_path / f"{number}", lazy=False))
    gc.collect()
    assert open_below(tmp_path) == []


# -- createLocalLog ---------------------------------------------------------------------------


def test_the_file_by_its_older_name(tmp_path: Path) -> None:
    """Subclasses of the reference's class read the file of a writer as `_config`."""
    config = FileConfig(tmp_path / "log")
    writer = FileLogWriter(config)
    assert writer._config is config
    writer.close()


class LineKeeper:
    """A file of a user's own: keeps what is written, and what else was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def write(self, text: str) -> None:
        self.calls.append(text)

    def flush(self) -> None:
        self.calls.append("flush")

    def close(self) -> None:
        self.calls.append("close")


def test_create_file_is_the_place_for_another_file(tmp_path: Path) -> None:
    """What a subclass's _createFile returns gets one write a line, and its close."""
    file = LineKeeper()

    class Mine(FileLogWriter):
        def _createFile(self) -> Any:
            return file

    writer = Mine(FileConfig(tmp_path / "log"), format_line=lambda job: job.msg)
    writer.write_batch(make_batch(2))
    writer.writeNow(make_job("a\nb"))
    assert writer.estimateLineCount() == 3
    assert writer.write_part(make_batch(2), 40) == 1
    writer.close()
    assert file.calls == [
        *("message 0\n", "flush", "message 1\n", "flush"),
        *("a\n  | b\n", "flush", "message 0\n", "flush", "close"),
    ]
    assert not list(tmp_path.iterdir())


def test_create_file_may_set_the_file(tmp_path: Path) -> None:
    """A _createFile that puts its file into `_file`, and returns nothing, will do."""
    file = LineKeeper()

    class Mine(FileLogWriter):
        def _createFile(self) -> None:
            self._file = file

    Mine(FileConfig(tmp_path / "log", lazy=False), lambda job: job.msg).writeNow(make_job("a"))
    assert file.calls == ["a\n", "flush"]


def test_open_may_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's open_ opens all files: it is told the name, and "w" or "a"."""
    opened: list[tuple[str, str]] = []

    def other(path: str, mode: str) -> LineKeeper:
        opened.append((path, mode))
        return LineKeeper()

    monkeypatch.setattr(filewriter, "open_", other)
    for drop in (True, False):
        FileLogWriter(FileConfig(tmp_path / "log", drop=drop)).writeNow(make_job())
    name = str(tmp_path / "log")
    assert opened == [(name, "w"), (name, "a")]


def test_own_file_takes_writes(tmp_path: Path) -> None:
    """A subclass may write to what super()._createFile() returns."""

    class Headed(FileLogWriter):
        def _createFile(self) -> Any:
            file = super()._createFile()
            file.write("# caf\u00e9\n")
            file.flush()
            return file

    writer = Headed(FileConfig(tmp_path / "log"), format_line=lambda job: job.msg)
    writer.writeNow(make_job("a"))
    assert (tmp_path / "log").read_text(encoding="utf-8") == "# caf\u00e9\na\n"

import errno
import gc
import os
import re
import resource
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logd import LogServer, MsgJob, appending, filewriter
from logd.filewriter import (
    FileClosedEvent,
    FileConfig,
    FileLogWriter,
    createLocalLog,
    createRotatingServer,
)
from logd.records.batch import Batch
from logd.textwriter import Formatter, WriterClosed
from tests.descriptors import open_below
from tests.record_making import from_threads, make_batch, make_job, make_jobdata


def message_only(job: MsgJob) -> str:
    """A layout of the message alone."""
    return job.msg


def read(folder: Path) -> dict[str, list[str]]:
    """The lines of each file in a folder."""
    return {path.name: path.read_text().splitlines() for path in sorted(folder.iterdir())}


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


# -- createRotatingServer ---------------------------------------------------------------------


def test_rotating_server(tmp_path: Path) -> None:
    """createRotatingServer: rotateCount files of exactly rotateLineMin entries, used in turn."""
    server = createRotatingServer(f"{tmp_path}/log%d.txt", 3, 4, format_line=message_only)
    for number in range(10):
        server.log(make_jobdata(msg=str(number)))
    server.log_batch(make_batch(5, msg=list("abcde")))
    assert read(tmp_path) == {
        "log0.txt": ["c", "d", "e"],
        "log1.txt": ["4", "5", "6", "7"],
        "log2.txt": ["8", "9", "a", "b"],
    }
    assert [writer.config.filepath[-5] for writer in server.writer.writers] == ["1", "2", "0"]


def test_rotating_server_default_timestamps(tmp_path: Path) -> None:
    """createRotatingServer: tsFormat='std1'."""
    createRotatingServer(f"{tmp_path}/log%d.txt", 1, None).log(make_jobdata())
    (text,) = read(tmp_path)["log0.txt"]
    stamp, cat, rest = text.split(" ", 2)
    assert (len(stamp), stamp[2], stamp[5], stamp[8], cat) == (12, ":", ".", ";", "E")
    assert rest.startswith("4711#17 payment failed\t")


def test_rotating_server_pipeline(tmp_path: Path) -> None:
    """createRotatingServer passes filters and observers on; tsFormat=None shows no time."""
    seen: list[str] = []

    def shout(jobhist: list[MsgJob], writer: Any) -> None:
        jobhist[-1].msg = jobhist[-1].msg.upper()

    def see(jobhist: list[MsgJob], writer: Any) -> None:
        seen.append(f"{jobhist[-1].msg} {writer.cfn_cln(jobhist[-1])}")

    server = createRotatingServer(
        f"{tmp_path}/log%d.txt", 1, None, tsFormat=None, filters=[shout], observers=[see]
    )
    server.log(make_jobdata(msg="a"))
    assert read(tmp_path)["log0.txt"][0].startswith("E 4711#17 A\t")
    assert seen == ["A *views(42)"]


def test_file_closed(tmp_path: Path) -> None:
    """fileClosed: "Zip a log file after rotation": the file is whole when it is called."""
    closed: list[tuple[str, int, list[str]]] = []

    def note(event: FileClosedEvent) -> None:
        path = Path(event.filePath)
        closed.append((path.name, event.lineCount, path.read_text().splitlines()))

    server = createRotatingServer(
        f"{tmp_path}/log%d.txt", 2, 2, fileClosed=note, format_line=message_only
    )
    server.log_batch(make_batch(5, msg=list("abcde")))
    assert closed == [("log0.txt", 2, ["a", "b"]), ("log1.txt", 2, ["c", "d"])]


def test_failing_file_closed(tmp_path: Path) -> None:
    """A callback that fails loses no record; the log says that it failed."""

    def fail(event: FileClosedEvent) -> None:
        raise RuntimeError("no zip")

    server = createRotatingServer(
        f"{tmp_path}/log%d.txt", 3, 2, fileClosed=fail, format_line=message_only
    )
    for text in "abc":
        server.log(make_jobdata(msg=text))
    files = read(tmp_path)
    assert files["log0.txt"] == ["a", "b"]
    assert files["log1.txt"][:2] == ["c", "closing a full log failed: RuntimeError: no zip"]


def test_logwriter_factory(tmp_path: Path) -> None:
    """logwriterFactory: "Creates LogWriter instances (one per file)"."""
    configs: list[FileConfig] = []

    def factory(config: FileConfig) -> FileLogWriter:
        configs.append(config)
        return FileLogWriter(config, format_line=lambda job: f"<{job.msg}>")

    server = createRotatingServer(f"{tmp_path}/log%d.txt", 2, 1, logwriterFactory=factory)
    server.log(make_jobdata(msg="a"))
    server.log(make_jobdata(msg="b"))
    assert read(tmp_path) == {"log0.txt": ["<a>"], "log1.txt": ["<b>"]}
    assert [config.filepath for config in configs] == [
        f"{tmp_path}/log0.txt",
        f"{tmp_path}/log1.txt",
    ]


def test_logwriter_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """logwriterFactory: "If None, the module variable LOGWRITER_CLASS is used", as it is then."""

    class Mine(FileLogWriter):
        def writeNow(self, job: MsgJob) -> None:
            super().writeNow(job.copy_update({"msg": f"<{job.msg}>"}))

    assert filewriter.LOGWRITER_CLASS is FileLogWriter
    monkeypatch.setattr(filewriter, "LOGWRITER_CLASS", Mine)
    server = createRotatingServer(f"{tmp_path}/log%d.txt", 2, None, format_line=message_only)
    server.log(make_jobdata(msg="a"))
    server.log_batch(make_batch(1, msg=["b"]))
    assert read(tmp_path) == {"log0.txt": ["<a>", "<b>"]}


def test_appending_server(tmp_path: Path) -> None:
    """drop: "When False, append to an existing one (this is possible with rotateCount==1 only)"."""
    pattern = f"{tmp_path}/log%d.txt"
    for text in "ab":
        server = createRotatingServer(pattern, 1, None, drop=False, format_line=message_only)
        server.log(make_jobdata(msg=text))
    assert read(tmp_path) == {"log0.txt": ["a", "b"]}
    with pytest.raises(AssertionError, match="drop=False"):
        createRotatingServer(pattern, 2, None, drop=False)


def test_bad_arguments(tmp_path: Path) -> None:
    """What can't work is refused before a file is touched."""
    with pytest.raises(ValueError, match="pattern"):
        createRotatingServer(f"{tmp_path}/log.txt", 2, 5)
    with pytest.raises(ValueError, match="lines"):
        createRotatingServer(f"{tmp_path}/log%d.txt", 2, 0)
    with pytest.raises(ValueError, match="daily"):
        createRotatingServer(f"{tmp_path}/log%d.txt", 2, 5, rotateAt="sometimes")
    assert read(tmp_path) == {}


@pytest.mark.parametrize("portion", [1, 3, 40])
def test_rotates_by_size(tmp_path: Path, portion: int) -> None:
    """rotateSize: no file is larger, and none could have taken the next record."""
    server = createRotatingServer(
        f"{tmp_path}/log%02d.txt", 50, None, format_line=message_only, rotateSize=100
    )
    texts = [f"{number:03}" + "x" * (number % 37) for number in range(40)]
    for start in range(0, 40, portion):
        part = texts[start : start + portion]
        server.log_batch(make_batch(len(part), msg=part))
    files = list(read(tmp_path).values())
    assert [text for lines in files for text in lines] == texts
    sizes = [sum(len(text) + 1 for text in lines) for lines in files]
    assert max(sizes) <= 100
    for size, following in zip(sizes, files[1:], strict=False):
        assert size + len(following[0]) + 1 > 100


def test_record_larger_than_a_file(tmp_path: Path) -> None:
    """A record larger than rotateSize has a file to itself."""
    server = createRotatingServer(
        f"{tmp_path}/log%d.txt", 9, None, format_line=message_only, rotateSize=10
    )
    texts = ["a", "x" * 50, "b", "c"]
    server.log_batch(make_batch(4, msg=texts))
    assert list(read(tmp_path).values()) == [["a"], ["x" * 50], ["b", "c"]]


def test_rotates_by_time(tmp_path: Path) -> None:
    """rotateAt: the first record after the time begins the next file."""
    now = 10.0 * 86_400
    server = createRotatingServer(
        f"{tmp_path}/log%d.txt",
        3,
        None,
        format_line=message_only,
        rotateAt="daily 03:00",
        rotateUtc=True,
    )
    server.writer._clock = lambda: now
    for text, hours in [("a", 0), ("b", 2.9), ("c", 3), ("d", 26.9), ("e", 27)]:
        now = 10.0 * 86_400 + hours * 3600
        server.log(make_jobdata(msg=text))
    assert list(read(tmp_path).values()) == [["a", "b"], ["c", "d"], ["e"]]


def test_threads_share_a_ring(tmp_path: Path) -> None:
    """Threads that share a server fill each file exactly and tear no line."""
    server = createRotatingServer(f"{tmp_path}/log%02d.txt", 20, 50, format_line=message_only)

    def send(name: str) -> None:
        for number in range(50):
            server.log(make_jobdata(msg=f"{name}{number}"))
            server.log_batch(make_batch(2, msg=[f"{name}{number}a", f"{name}{number}b"]))

    from_threads("xyz", send)
    files = list(read(tmp_path).values())
    assert [len(lines) for lines in files] == [50] * 9
    together = [text for lines in files for text in lines]
    for name in "xyz":
        assert [text for text in together if text.startswith(name)] == [
            f"{name}{number}{part}" for number in range(50) for part in ("", "a", "b")
        ]


def test_server_is_a_log_server(tmp_path: Path) -> None:
    """createRotatingServer returns a LogServer."""
    assert isinstance(createRotatingServer(f"{tmp_path}/log%d.txt", 1, None), LogServer)
    assert Batch.from_jobs([make_job()]).msg == ["payment failed"]


# -- createLocalLog ---------------------------------------------------------------------------


def test_local_log(tmp_path: Path) -> None:
    """createLocalLog: "a Log ready to use" that has written when the call returns."""
    log = createLocalLog(f"{tmp_path}/log%d.txt", 2, 3, tsFormat=None, stackMax=1, name="mine")
    for number in range(4):
        assert log(f"text {number}", "E", special={"n": number}) == number + 1
    files = read(tmp_path)
    assert [len(lines) for lines in files.values()] == [3, 1]
    head, rest, thread, function, path, special = files["log1.txt"][0].split("\t")
    assert head == f"E {os.getpid()}#4 text 3"
    assert re.fullmatch(r"[0-9]{6} [0-9]+", rest)
    assert (thread, function, special) == (threading.current_thread().name, "test_local_log", "n=3")
    assert path.startswith("test_filewriter(")
    assert repr(log) == "mine(on)"


def test_local_log_options(tmp_path: Path) -> None:
    """createLocalLog passes categories, stack and layout on."""
    log = createLocalLog(
        f"{tmp_path}/log%d.txt",
        1,
        None,
        catsEnable=["E"],
        extractStack=False,
        format_line=lambda job: f"{job.msg} {job.path}",
    )
    log("no", "I")
    log("yes", "E")
    assert read(tmp_path) == {"log0.txt": ["yes ()"]}


def test_local_log_hides_files(tmp_path: Path) -> None:
    """seFilesExclude hides files from the path; traceOffset hides innermost callers."""
    log = createLocalLog(
        f"{tmp_path}/log%d.txt",
        1,
        None,
        seFilesExclude=lambda name: "test_filewriter" in name,
        format_line=lambda job: job.pathStr(),
    )
    log("text")
    assert read(tmp_path)["log0.txt"][0].startswith("...<-")


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

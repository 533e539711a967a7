"""Servers and local logs of `logd.filewriter`, which write into rings of files."""

import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from logd import LogServer, MsgJob, filewriter
from logd.filewriter import (
    FileClosedEvent,
    FileConfig,
    FileLogWriter,
    createLocalLog,
    createRotatingServer,
)
from logd.records.batch import Batch
from tests.file_reading import message_only, read
from tests.record_making import from_threads, make_batch, make_job, make_jobdata


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
    assert path.startswith("test_filewriter_rings(")
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
        seFilesExclude=lambda name: "test_filewriter_rings" in name,
        format_line=lambda job: job.pathStr(),
    )
    log("text")
    assert read(tmp_path)["log0.txt"][0].startswith("...<-")

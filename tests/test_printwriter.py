import io
import os
import sys
from typing import Any

import pytest

from logd import LogServer, MsgJob, printwriter
from logd.printwriter import PrintLogWriter, createLocalLog, createServer
from logd.textwriter import Formatter, WriterClosed
from tests.record_making import make_batch, make_job, make_jobdata


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the module's `print_` is called with."""
    texts: list[str] = []
    monkeypatch.setattr(printwriter, "print_", texts.append)
    return texts


def test_default_layout(printed: list[str]) -> None:
    """_format_line: "single log line", with all that the record has."""
    job = make_job("paid", ts="11:10", special={"user": "ann", "n": 3})
    PrintLogWriter().writeNow(job)
    PrintLogWriter(writeMsgid=True).writeNow(job)
    assert printed == [
        "11:10 E paid :::charge |views.py(42)<-urls.py(10) user=ann n=3\n",
        "11:10 17 E paid :::charge |views.py(42)<-urls.py(10) user=ann n=3\n",
    ]


def test_default_layout_without_fields(printed: list[str]) -> None:
    """What a record does not have leaves no gap."""
    writer = PrintLogWriter()
    writer.writeNow(make_job("paid", cat="", path=()))
    writer.writeNow(make_job("paid", path=((None, None), ("a.py", 3))))
    assert printed == ["paid\n", "E paid :::charge |...<-a.py(3)\n"]


def test_terminals_see_no_control_characters(printed: list[str]) -> None:
    """A message is one entry on the terminal and commands it to nothing."""
    PrintLogWriter().writeNow(make_job("a\x1b[2J\nb\x07", path=(), cat=""))
    assert printed == ["a\\x1b[2J\n  | b\\x07\n"]


def test_batch(printed: list[str]) -> None:
    """A batch is printed by one call."""
    writer = PrintLogWriter(format_line=Formatter("%(message)s"))
    writer.write_batch(make_batch(3))
    assert printed == ["message 0\nmessage 1\nmessage 2\n"]
    assert writer.estimateLineCount() == 3


def test_close(printed: list[str]) -> None:
    """close ends the writer, not stdout."""
    writer = PrintLogWriter()
    writer.close()
    writer.close()
    with pytest.raises(WriterClosed):
        writer.writeNow(make_job())
    assert printed == []
    assert not sys.stdout.closed


def test_print_is_honoured_at_call_time(
    printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module variable `print_` is looked up for each write."""
    writer = PrintLogWriter(format_line=lambda job: job.msg)
    writer.writeNow(make_job("one"))
    others: list[str] = []
    monkeypatch.setattr(printwriter, "print_", others.append)
    writer.writeNow(make_job("two"))
    assert (printed, others) == (["one\n"], ["two\n"])


def test_print_writes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """print_: "Write string str to file", the stdout of the moment."""
    printwriter.print_("one\ntwo")
    assert capsys.readouterr().out == "one\ntwo"


def test_print_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """writeNow: "Write without buffering, return when written"."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    PrintLogWriter(format_line=lambda job: job.msg).writeNow(make_job("caf\u00e9"))
    assert raw.getvalue() == "caf\u00e9\n".encode()


def test_print_to_a_narrow_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stdout can't encode is shown as an escape."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    printwriter.print_("caf\u00e9 \u20ac\n")
    assert raw.getvalue() == b"caf\\xe9 \\u20ac\n"


def test_print_without_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a program without a console nothing is printed and nothing fails."""
    monkeypatch.setattr(sys, "stdout", None)
    printwriter.print_("text")


def test_create_server(printed: list[str]) -> None:
    """createServer: a LogServer on stdout, with filters, observers and layout."""
    seen: list[str] = []

    def shout(jobhist: list[MsgJob], writer: Any) -> None:
        jobhist[-1].msg = jobhist[-1].msg.upper()

    server = createServer(
        filters=[shout],
        observers=[lambda jobhist, writer: seen.append(jobhist[-1].msg)],
        tsFormat="-",
        format_line=lambda job: f"{job.ts} {job.msg}",
    )
    server.log(make_jobdata(msg="a"))
    assert isinstance(server, LogServer)
    assert printed == ["- A\n"]
    assert seen == ["A"]


def test_create_server_shows_message_ids(printed: list[str]) -> None:
    """createServer: tsFormat=None "shows no time stamps"; writeMsgid shows ids."""
    createServer(writeMsgid=True).log(make_jobdata(path=()))
    assert printed == ["17 E payment failed\n"]


def test_create_server_with_a_writer(printed: list[str]) -> None:
    """createServer: a writer that is given is used."""
    writer = PrintLogWriter(format_line=lambda job: "mine")
    server = createServer(writer)
    server.log(make_jobdata())
    assert server.writer is writer
    assert printed == ["mine\n"]


def test_logwriter_class(printed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """LOGWRITER_CLASS: "alias of PrintLogWriter", looked up when a server or log is made."""

    class Mine(PrintLogWriter):
        def _format_line(self, job: MsgJob) -> str:
            return f"<{job.msg}>"

    assert printwriter.LOGWRITER_CLASS is PrintLogWriter
    monkeypatch.setattr(printwriter, "LOGWRITER_CLASS", Mine)
    createServer().log(make_jobdata(msg="a"))
    createLocalLog()("b")
    assert printed == ["<a>\n", "<b>\n"]


def test_local_log(printed: list[str]) -> None:
    """createLocalLog: "a Log ready to use", one stack line by default, no time."""
    log = createLocalLog(writeMsgid=True, name="mine", catsDisable=["D"])
    assert log("hello", "I", special={"n": 1}) == 1
    assert log("no", "D") is None
    assert repr(log) == "mine(on)"
    (text,) = printed
    assert text.startswith("1 I hello :::test_local_log |test_printwriter(")
    assert text.endswith(") n=1\n")


def test_local_log_without_stack(printed: list[str]) -> None:
    """createLocalLog: extractStack=False shows no file."""
    createLocalLog(extractStack=False)("hello")
    createLocalLog(format_line=lambda job: str(job.pid))("hello")
    assert printed == ["hello\n", f"{os.getpid()}\n"]

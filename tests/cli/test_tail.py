"""`logd tail` as a process, beside the real daemon and without one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.conftest import ENVIRONMENT, PATIENCE_S, Command, Daemon
from tests.cli.terminal import on_terminal
from tests.query.log_making import log_files, record, records, write_log
from tests.waiting import wait_for

Tail = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def tail(tmp_path: Path) -> Iterator[Tail]:
    """Starts `logd tail ARGUMENTS`; ended after the test where it has not ended itself."""
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "logd", "tail", *arguments],
                    cwd=tmp_path,
                    env=ENVIRONMENT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield start


def message(line: str) -> str:
    """The message in a line of the log."""
    return line.split("\t")[0].split(" ", 3)[3]


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    """The messages of the next lines that it shows."""
    assert process.stdout is not None
    return [message(process.stdout.readline()) for _ in range(count)]


def note(process: subprocess.Popen[str]) -> str:
    """The next line on its standard error."""
    assert process.stderr is not None
    return process.stderr.readline()


def test_the_last_entries(logd: Command, tmp_path: Path) -> None:
    """The last ten, or as many as one wants, that pass the filters, oldest first."""
    batches = [record(number, cat="E" if number % 4 == 0 else "I") for number in range(1, 31)]
    write_log(tmp_path / "logs/logd_%d.log", batches, lines=7, compress="zstd")
    shown = list(map(message, logd("tail").stdout.splitlines()))
    assert shown == [f"record {number}" for number in range(21, 31)]
    shown = list(map(message, logd("tail", "-n", "5", "--cat", "E").stdout.splitlines()))
    assert shown == [f"record {number}" for number in (12, 16, 20, 24, 28)]
    assert logd("tail", "-n", "0").stdout == ""
    items = json.loads(logd("tail", "--lines", "1", "--json").stdout)
    assert (items["msgid"], items["path"]) == (30, "views.py(42)<-urls.py(10)")
    assert logd("tail", "-n", "1", "--format", "$message!").stdout == "record 30!\n"


def test_live(serve: Callable[..., Daemon], logd: Command, tail: Tail) -> None:
    """With a daemon that runs entries are shown as they come, through rotations and its end."""
    daemon = serve("--rotate-lines", "3", "--rotate-count", "30")
    port = str(daemon.port)

    def send(first: int, last: int) -> None:
        text = "".join(f"line {number}\n" for number in range(first, last + 1))
        assert logd("send", "--port", port, stdin=text).returncode == 0

    send(1, 4)
    process = tail("-f", "-n", "2")
    assert lines(process, 2) == ["line 3", "line 4"]
    send(5, 30)
    assert lines(process, 26) == [f"line {number}" for number in range(5, 31)]
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.wait(PATIENCE_S)
    assert "following file logs/logd_%d.log" in note(process)
    port = str(serve("--rotate-lines", "3", "--rotate-count", "30").port)
    send(31, 40)
    assert lines(process, 10) == [f"line {number}" for number in range(31, 41)]


def test_without_a_daemon(tmp_path: Path, tail: Tail) -> None:
    """Files are watched where no daemon answers, which is said once."""
    with log_files(tmp_path / "app_%d.log", lines=4) as output:
        for batch in records(1, 6):
            output.write([batch])
        process = tail("-f", "--file", "app_%d.log", "-n", "3")
        assert "no daemon answers" in note(process)
        assert lines(process, 3) == ["record 4", "record 5", "record 6"]
        for batch in records(7, 20):
            output.write([batch])
        assert lines(process, 14) == [f"record {number}" for number in range(7, 21)]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_cursor_is_kept_at_once(tmp_path: Path, tail: Tail) -> None:
    """What was shown at the start is not shown again, though nothing came behind it."""
    with log_files(tmp_path / "app_%d.log", lines=4) as output:
        output.write(records(1, 6))
        following = ("-f", "--file", "app_%d.log", "--cursor-file", "here")
        first = tail(*following)
        assert lines(first, 6) == [f"record {number}" for number in range(1, 7)]
        wait_for((tmp_path / "here").exists, "the cursor")
        first.kill()
        output.write(records(7, 8))
        assert lines(tail(*following), 2) == ["record 7", "record 8"]


@pytest.mark.parametrize("is_live", [True, False])
def test_a_reader_that_has_enough(
    serve: Callable[..., Daemon], logd: Command, tail: Tail, is_live: bool
) -> None:
    """A pipe that is closed ends it at once, before another entry comes, and quietly."""
    control = [] if is_live else ["--control", "absent"]
    daemon = serve()
    assert logd("send", "--port", str(daemon.port), "hello").returncode == 0
    process = tail("-f", *control)
    assert lines(process, 1) == ["hello"]
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0
    assert process.stderr is not None
    assert ("no daemon" in process.stderr.read()) != is_live


def test_colours_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal errors are red, and what surrounds the message is dim."""
    write_log(tmp_path / "logs/logd_%d.log", [record(1, cat="E"), record(2, cat="I")])
    first, second = on_terminal(tmp_path, "tail").splitlines()
    assert "\x1b[31mE\x1b[0m" in first
    assert "\x1b[31mrecord 1\x1b[0m" in first
    assert "record 2\x1b[2m\t" in second


def test_nothing_to_follow(logd: Command) -> None:
    """Without a daemon and a log there is nothing to wait for."""
    result = logd("tail", "-f")
    assert result.returncode == 1
    assert "logd: nothing to read: there is no file logs/logd_%d.log" in result.stderr

"""`logd query` as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from logd.cli import main
from logd.cli.commands import BEHIND_THE_DAEMON
from logd.outputs.tables.output import TableOutput
from tests.cli.conftest import ENVIRONMENT, PATIENCE_S, Command
from tests.cli.terminal import COLUMNS, on_terminal
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, record, write_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 60 records, one a minute, every fifth an error, in files and tables."""
    batches = [
        record(
            number,
            cat="I" if number % 5 else "E",
            msg=f"record {number}",
            special={"user": "ann"} if number % 10 == 0 else None,
            time=START + number * 60,
        )
        for number in range(60)
    ]
    write_log(tmp_path / "logs/logd_%d.log", batches, lines=25, compress="gzip")
    settings = make_settings(tmp_path, table_pattern="log_%d")
    output = TableOutput(f"sqlite:///{tmp_path}/log.db", settings)
    output.open()
    output.write(batches)
    output.close()
    return tmp_path


PLACES: list[list[str]] = [[], ["--file", "logs/logd_%d.log"], ["--db", "sqlite:///log.db"]]


class Result(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `logd ARGUMENTS` in this process, which takes a tenth of the time of another one."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("LOGD_"):
            monkeypatch.delenv(name)
    # What a query does to the priority of its process is not for this one.
    monkeypatch.setattr(os, "nice", lambda increment: increment)

    def run(*arguments: str) -> Result:
        try:
            status = main(arguments)
        except SystemExit as exc:
            status = int(exc.code or 0)
        out, err = capsys.readouterr()
        return Result(status, out, err)

    return run


def messages(text: str) -> list[str]:
    """The messages of lines of the log."""
    return [line.split("\t")[0].split(" ", 3)[3] for line in text.splitlines()]


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("place", PLACES)
def test_entries(logd: Command, place: list[str]) -> None:
    """Entries come in their order, as lines of the log, from wherever they are kept."""
    result = logd("query", *place)
    assert (result.returncode, result.stderr) == (0, "")
    assert messages(result.stdout) == [f"record {number}" for number in range(60)]
    assert result.stdout.splitlines()[10].endswith("\tviews.py(42)<-urls.py(10)\tuser=ann")
    assert messages(logd("query", *place, "--limit", "2").stdout) == ["record 0", "record 1"]
    assert logd("query", *place, "--limit", "0").stdout == ""


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--cat", "E,W", "--limit", "3"], [0, 5, 10]),
        (["--cat", "W", "--cat", "E", "--pid", "4711", "--limit", "2"], [0, 5]),
        (["--pid", "1"], []),
        (["--grep", "[23]5$"], [25, 35]),
        (["--where", "user=ann", "--grep", "[24]"], [20, 40]),
        (["--since", f"@{START + 57 * 60}"], [57, 58, 59]),
        (["--until", f"@{START + 120}", "--since", f"@{START}"], [0, 1]),
    ],
)
def test_filters(run: Run, place: list[str], filters: list[str], expected: list[int]) -> None:
    """Each filter leaves what passes it; together what passes all."""
    assert messages(run("query", *place, *filters).stdout) == [
        f"record {number}" for number in expected
    ]


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("place", PLACES)
def test_counts(run: Run, place: list[str]) -> None:
    """Counts are plain for programs, as JSON too."""
    assert run("query", *place, "--count", "--cat", "E").stdout == "12\n"
    assert run("query", *place, "--by", "cat").stdout == "I  48\nE  12\n"
    hours = run("query", *place, "--by", "hour").stdout.splitlines()
    assert [line.split()[-1] for line in hours] == ["40", "20"]
    result = run("query", *place, "--by", "site", "--json", "--limit", "1")
    assert json.loads(result.stdout) == {"site": "views.py(42)", "count": 60}
    assert run("query", *place, "--by", "host").stdout == "-  60\n"


def test_a_format_of_ones_own_is_told(tmp_path: Path, run: Run) -> None:
    """Who asks for a category in lines that have none is told so, not only that there are 0."""
    (tmp_path / "own.log").write_text("2026-11-22 12:00 WARNING low\n")
    place = ("--file", str(tmp_path / "own.log"))
    result = run("query", *place, "--cat", "W", "--count")
    assert result.stdout == "0\n"
    assert "only texts can be asked for" in result.stderr
    assert "only texts" in run("query", *place, "--since", "2026-11-22").stderr
    result = run("query", *place, '"low"', "--count")
    assert (result.stdout, result.stderr) == ("1\n", "")


def test_on_a_terminal(log: Path) -> None:
    """A terminal shows bars that fit, and entries in colours unless NO_COLOR is set."""
    shown = on_terminal(log, "query", "--by", "cat")
    first, second = shown.splitlines()
    assert re.fullmatch(r"I  48  █+", first)
    assert re.fullmatch(r"E  12  █+[▏▎▍▌▋▊▉]?", second)
    assert len(first) == COLUMNS
    assert "\x1b[31mrecord 5\x1b[0m" in on_terminal(log, "query", "--cat", "E")
    assert "\x1b[" not in on_terminal(log, "query", "--cat", "E", NO_COLOR="1")
    assert on_terminal(log, "query", "--count") == "60\n"


@pytest.mark.usefixtures("log")
def test_other_displays(run: Run) -> None:
    """JSON and formats of one's own, in a pipe without colours."""
    lines = run("query", "--where", "user=ann", "--json").stdout.splitlines()
    first: dict[str, Any] = json.loads(lines[1])
    assert (first["msg"], first["special"]) == ("record 10", {"user": "ann"})
    shown = run("query", "--format", "{levelname}: {message}", "--limit", "1").stdout
    assert shown == "ERROR: record 0\n"
    assert "\x1b" in run("query", "--limit", "1", "--color", "always").stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--since", "soon"], "--since: 'soon' is not a time: .* \"10 min ago\""),
        (["--until", "soon"], "--until: 'soon' is not a time"),
        (["--since", "today", "--until", "yesterday"], "nothing is between"),
        (["--grep", "("], r"'\(' is no regular expression"),
        (["--where", "user"], "expected KEY=VALUE, .* got 'user'"),
        (["--format", "%(x"], "--format: line format"),
        (["--count", "--by", "cat"], "--count and --by"),
        (["--json", "--format", "x"], "--json and --format"),
        (["--by", "cat,"], "--by: 'cat,' has an empty name"),
        (["--pid", "ann"], "pid is a number, not 'ann'"),
        (["ms:>fast"], "expected a number, got 'fast'"),
        (["--view", "absent"], "no view 'absent'"),
        (["-r", "-C", "3"], "--reverse can not be given together with -A"),
        (["--config", "absent.toml"], "absent.toml: can't read the settings"),
    ],
)
def test_usage_errors(run: Run, arguments: list[str], complaint: str) -> None:
    """What makes no sense is said in a line, with what would be understood."""
    result = run("query", *arguments)
    assert result.returncode == 2
    assert re.search(complaint, result.stderr.replace("\n", " "))
    assert "Traceback" not in result.stderr


def test_nothing_to_read(run: Run) -> None:
    """Where no log is it is said where was looked."""
    result = run("query")
    assert result.returncode == 1
    assert result.stderr == "logd: nothing to read: there is no file logs/logd_%d.log\n"


def test_settings(logd: Command, log: Path) -> None:
    """Settings tell where the log is, by file or environment, and need not tell the token."""
    (log / "logs").rename(log / "elsewhere")
    (log / "logd.toml").write_text('file = "elsewhere/logd_%d.log"\ntoken_file = "absent"\n')
    assert logd("query", "--count", "--config", "logd.toml").stdout == "60\n"
    assert logd("query", "--count", LOGD_CONFIG="logd.toml").stdout == "60\n"
    assert logd("query", "--count", LOGD_FILE="elsewhere/logd_%d.log").stdout == "60\n"
    assert logd("query", "--count", LOGD_DB="sqlite:///log.db").stdout == "60\n"


def test_a_reader_that_has_enough(log: Path) -> None:
    """A pipe that is closed ends it without a word."""
    many = [record(number, msg="x" * 500) for number in range(2000)]
    write_log(log / "many_%d.log", many)
    with subprocess.Popen(
        [sys.executable, "-m", "logd", "query", "--file", "many_%d.log"],
        cwd=log,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_S) == 0


def test_a_query_lets_the_daemon_go_first(tmp_path: Path) -> None:
    """A scan runs at a lower priority, as it takes all of a core that it is given."""
    path = tmp_path / "app.log"
    path.write_text("2026-11-22T03:00:00.000+0000 E 7#1 text\tMainThread\tf\t\t\n" * 20_000)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with subprocess.Popen(
        [sys.executable, "-m", "logd", "query", "--file", str(path)],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as query:
        assert query.stdout is not None
        # It has begun, and can't end before the rest is read.
        query.stdout.read(1)
        assert os.getpriority(os.PRIO_PROCESS, query.pid) == min(own + 10, 19)
        query.stdout.read()
    assert query.returncode == 0


def test_query_goes_behind_the_daemon(tmp_path: Path) -> None:
    """A scan runs at a lower priority than what it may run beside."""
    line = "2026-11-22 03:00:00.000 I 1.1 a message of this log\n"
    log = tmp_path / "large.log"
    log.write_text(line * 20_000)  # more than a pipe holds, so that it can't end unread
    command = [sys.executable, "-m", "logd", "query", "--file", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        niceness = os.getpriority(os.PRIO_PROCESS, process.pid)
        process.stdout.read()
    # The lowest there is, for tests that run at a low priority themselves.
    assert niceness == min(19, os.getpriority(os.PRIO_PROCESS, 0) + BEHIND_THE_DAEMON)


def test_what_a_crash_left_is_found(log: Path, run: Run) -> None:
    """A query says that there is more, and --set-aside shows it: both parts, cut off or renamed."""
    folder = log / "logs"
    lines = (folder / "logd_2.log").read_bytes().splitlines(keepends=True)
    (folder / "logd_1.log.torn").write_bytes(b"".join(lines[:2]))
    (folder / "logd_2.log.torn.4711").write_bytes(lines[3])
    (folder / "other_2.log.torn").write_bytes(lines[4])
    for arguments in PLACES[:2]:
        result = run("query", "--count", *arguments)
        assert result.stdout.split()[0] == "60"
        assert "2 files of what a crash left are not shown: see --set-aside" in result.stderr
        result = run("query", "--set-aside", *arguments)
        assert result.returncode == 0, result.stderr
        assert result.stdout.encode() == b"".join((*lines[:2], lines[3]))
    (folder / "logd_1.log.torn").unlink()
    (folder / "logd_2.log.torn.4711").unlink()
    result = run("query", "--set-aside")
    assert result.returncode == 1
    assert "nothing was set aside" in result.stderr

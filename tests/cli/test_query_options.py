"""What `logd query` selects, counts, orders and surrounds; each option by what it shows."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from logd.cli.query import query
from logd.cli.tail import tail
from logd.query import contexts
from logd.query.files.source import FileSource
from logd.query.positions import Position
from logd.text.lines import LineFormat
from tests.cli import terminal
from tests.cli.terminal import on_terminal
from tests.query.log_making import START, numbers_of, record, write_log

TRACEBACK = """it failed
Traceback (most recent call last):
  File "/srv/shop/{file}", line {line}, in charge
    pay(order)
{error}"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of 30 records, one a minute: requests, errors, two causes and a deployment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGD_PAGER", "")
    for name in ("LOGD_CONFIG", "LOGD_FILE"):
        monkeypatch.delenv(name, raising=False)
    batches = []
    for number in range(120):
        items: dict[str, Any] = {"request": f"r{number % 3}", "ms": number * 10}
        msg, cat = f"record {number}", "I"
        if number % 20 == 10:
            msg = TRACEBACK.format(file="pay.py", line=number, error="ValueError: no")
            cat = "E"
        if number > 100 and number % 10 == 5:
            msg = TRACEBACK.format(file="new.py", line=number, error="shop.Declined: 7")
            cat = "E"
        if number == 100:
            msg, items = "deploy 2.14.0", {"version": "2.14.0"}
        items["logger"] = "shop.cache" if number % 2 else "shop.views"
        peer = "10.0.0.7" if number % 2 else ""
        moment = START + number * 60
        batches.append(record(number, cat=cat, msg=msg, special=items, peer=peer, time=moment))
    write_log(tmp_path / "logs/logd_%d.log", batches, lines=50, compress="gzip")
    return tmp_path


def run(*arguments: str) -> Result:
    """Run `logd query` to its end."""
    return CliRunner().invoke(query, arguments)


def found(*arguments: str) -> list[int]:
    """The numbers of the records that it shows."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return numbers_of(result.stdout)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["cat:E", "-exc:ValueError"], [105, 115]),
        (["--exc", "ValueError", "--exc", "Declined"], [10, 30, 50, 70, 90, 110]),
        (["--exc", "shop.*"], [105, 115]),
        (["has:traceback", "--host", "-"], [10, 30, 50, 70, 90, 110]),
        (["--where", "ms>1170"], [118, 119]),
        (["ms:>=1170", "--where", "request!=r0"], [118, 119]),
        (["--where", "request=r0", "--where", "request=r1", "ms:<30"], [0, 1]),
        (["--not", "logger=shop.views", "--where", "ms<40"], [1, 3]),
        (["-i", "DEPLOY"], [100]),
        (["--pid", "4711@10.0.0.7", "--where", "ms<=30"], [1, 3]),
        (["--site", "views.py(42)", "--where", "ms<=10"], [0, 1]),
        (["--logger", "shop.c*", "--where", "ms<=10"], [1]),
        (["/record 1[0-3]$/"], [11, 12, 13]),
        (['"record 11"', "-r"], [119, 118, 117, 116, 114, 113, 112, 111, 11]),
        (["-3"], [0, 1, 2]),
        (["-r", "-n", "3"], [119, 118, 117]),
        (["/record 1[0-3]$/", "-C", "1"], [10, 11, 12, 13, 14]),
        (["cat:E", "ms:<400", "-B", "2"], [8, 9, 10, 28, 29, 30]),
        (["cat:E", "ms:<400", "-A", "1", "--context", "request"], [10, 13, 30, 33]),
        (["cat:E", "ms:<200", "-C", "2", "--context", "process"], [6, 8, 10, 12, 14]),
    ],
)
def test_selections(arguments: list[str], expected: list[int]) -> None:
    """Options and words select the same, orders and contexts are as asked for."""
    assert found(*arguments) == expected


@pytest.mark.usefixtures("log")
def test_gaps_are_shown() -> None:
    """A line parts what is not next to each other, as with grep."""
    shown = run("cat:E", "ms:<400", "-C", "1").stdout
    assert shown.split("\n--\n")[1].count("shop/pay.py") == 1
    assert shown.count("\n--\n") == 1


@pytest.mark.usefixtures("log")
def test_requests_side_by_side() -> None:
    """What belongs together stands together, once, however requests take turns in the log."""
    result = run("cat:E", "ms:>=900", "-C", "3", "--context", "request")
    assert numbers_of(result.stdout) == [
        *(81, 84, 87, 90, 93, 96, 99, 102, 105, 108, 111, 114),
        *(101, 104, 107, 110, 113, 116, 119),
        *(106, 109, 112, 115, 118),
    ]
    assert result.stdout.count("\n--\n") == 2


@pytest.mark.usefixtures("log")
def test_context_that_is_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """If not all that is around was looked at, that is said, once."""
    assert run("cat:E", "-C", "2", "--context", "request").stderr == ""
    monkeypatch.setattr(contexts, "MAX_READ_BYTES", 1)
    result = run("cat:E", "-C", "2", "--context", "request")
    assert result.stderr == "logd: around some entries only 0 MiB were searched for their context\n"


@pytest.mark.usefixtures("log")
def test_outputs() -> None:
    """Each format has the same record in it."""
    first = json.loads(run("-1", "--output", "jsonl").stdout)
    assert json.loads(run("-2", "-o", "json").stdout)[0] == first
    assert json.loads(run("absent", "-o", "json").stdout) == []
    # On a terminal what is said comes behind the list, not into it.
    shown, said = run("-1", "-o", "json").output.split("logd: --limit left out")
    assert (json.loads(shown), said.count("\n")) == ([first], 1)
    row = next(csv.DictReader(io.StringIO(run("-1", "-o", "csv").stdout)))
    assert (row["msg"], json.loads(row["special"])) == ("record 0", first["special"])
    assert float(row["time"]) == first["time"]
    shown = run("-1", "-o", "logfmt").stdout
    assert ' msg="record 0" ' in shown
    assert shown.endswith("ms=0 logger=shop.views\n")


def test_cursors(log: Path) -> None:
    """A cursor file makes each call go on where the one before ended."""
    assert found("--cursor-file", "here", "-n", "5") == [0, 1, 2, 3, 4]
    assert found("--cursor-file", "here", "-n", "2", "cat:E") == [10, 30]
    assert found("--cursor-file", "here", "-n", "1") == [31]
    result = run("-n", "3")
    assert "--limit left out 117 more entries, the next of 2" in result.stderr
    assert "left out 5 more" in run("-n", "3", "cat:E").stderr
    assert "left out 115 more entries" in run("-n", "5", "-r").stderr
    assert "left out 120 more entries" in run("-n", "0").stderr
    assert "left out" not in run("-n", "120").stderr
    cursor = result.stderr.split()[-1]
    assert found("--after-cursor", cursor, "-n", "2") == [3, 4]
    assert "left out 112 more" in run("--after-cursor", cursor, "-r", "-n", "5").stderr
    assert "left out 117 more" in run("--after-cursor", cursor, "-n", "0").stderr
    assert run("--after-cursor", "nonsense").exit_code != 0
    found("--cursor-file", "end")
    assert found("--cursor-file", "end") == []
    tailed = CliRunner().invoke(tail, ["--cursor-file", "tail", "-2"])
    assert numbers_of(tailed.stdout) == [118, 119]
    again = CliRunner().invoke(tail, ["--cursor-file", "tail"])
    assert (again.stdout, "no entries" in again.stderr) == ("", True)
    assert (log / "tail").read_text().strip()
    (log / "tail").write_text(cursor)
    behind = CliRunner().invoke(tail, ["--cursor-file", "tail", "-2"])
    assert (numbers_of(behind.stdout), "more entries came" in behind.stderr) == ([118, 119], True)


@pytest.mark.parametrize("output", ["text", "jsonl"])
def test_what_comes_meanwhile(log: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    """A record that comes while others are shown is shown by the next call, and by no other."""
    end, current = FileSource.end, log / "logs/logd_2.log"
    late = LineFormat().encode_batch(record(500))

    def end_then_more(source: FileSource) -> Position | None:
        found = end(source)
        with current.open("ab") as file:
            file.write(late)
        return found

    monkeypatch.setattr(FileSource, "end", end_then_more)
    shown = [run("--cursor-file", "here", "-o", output).stdout for _ in range(3)]
    assert [text.count("record 500") for text in shown] == [0, 1, 1]
    assert shown[0].count("record 1\t" if output == "text" else '"record 1"') == 1


@pytest.mark.usefixtures("log")
def test_counts() -> None:
    """Several facets, fields together, and steps of time come from one call."""
    rows = list(
        map(
            json.loads,
            run("--by", "hour", "--by", "cat", "--by", "logger,cat", "--json").stdout.splitlines(),
        )
    )
    assert sum(row["count"] for row in rows if "cats" in row) == 120
    assert {"cat": "E", "count": 8} in rows
    assert {"logger": "shop.cache", "cat": "E", "count": 2} in rows
    result = run("--by", "ms", "--top", "2")
    assert len(result.stdout.splitlines()) == 2
    assert "118 more, with 118 entries, are left out" in result.stderr
    assert len(run("--by", "auto").stdout.splitlines()) <= 60
    assert len(run("--by", "ms").stdout.splitlines()) == 120
    assert run("--by", "logger,cat").stdout.splitlines()[::2] == [
        "shop.cache  I  58",
        "shop.views  E   6",
    ]
    assert "none of them has usr" in run("--by", "usr").stderr
    assert "none of them has" not in run("--by", "logger,minute").stderr


@pytest.mark.usefixtures("log")
def test_counts_for_programs() -> None:
    """Counts come as each of the outputs, all of a call as one list if that is JSON."""
    asked = ["--by", "cat", "--by", "logger", "--until", f"@{START + 120}", "-o"]
    assert json.loads(run(*asked, "json").stdout) == [
        {"cat": "I", "count": 2},
        {"logger": "shop.cache", "count": 1},
        {"logger": "shop.views", "count": 1},
    ]
    assert json.loads(run("--by", "cat", "absent", "-o", "json").stdout) == []
    assert run(*asked, "csv").stdout == (
        "cat,count\nI,2\n\nlogger,count\nshop.cache,1\nshop.views,1\n"
    )
    assert run(*asked, "logfmt").stdout.splitlines() == [
        "cat=I count=2",
        "logger=shop.cache count=1",
        "logger=shop.views count=1",
    ]
    causes = csv.DictReader(io.StringIO(run("cat:E", "--by", "traceback", "-o", "csv").stdout))
    assert [(row["count"], json.loads(row["hosts"])) for row in causes] == [
        ("6", {"-": 6}),
        ("2", {"10.0.0.7": 2}),
    ]
    assert "not with --new-since" in run("--by", "traceback", "--by", "hour").stderr


def test_a_terminal_gets_what_is_most_frequent(log: Path) -> None:
    """Nobody reads thousands of lines unasked: 100 are shown, and it is said what is left out."""
    *shown, last = on_terminal(log, "query", "--by", "ms").splitlines()
    assert len(shown) == 100
    assert last.endswith("20 more, with 20 entries, are left out; --top N shows more")
    assert len(on_terminal(log, "query", "--by", "ms", "--top", "500").splitlines()) == 120


@pytest.mark.usefixtures("log")
def test_causes() -> None:
    """Exceptions of one cause are one line, whatever their line numbers; new ones are told."""
    rows = list(map(json.loads, run("cat:E", "--by", "traceback", "--json").stdout.splitlines()))
    assert [(row["count"], row["title"]) for row in rows] == [
        (6, "ValueError: no (pay.py:charge)"),
        (2, "shop.Declined: 7 (new.py:charge)"),
    ]
    assert rows[0]["hosts"] == {"-": 6}
    result = run("cat:E", "--by", "traceback", "--new-since", "2.14.0", "--json")
    assert [json.loads(line)["count"] for line in result.stdout.splitlines()] == [2]
    assert "deploy 2.14.0" in result.stderr
    assert "not sure" not in result.stderr
    early = run("--by", "exc", "--new-since", f"@{START + 60}")
    assert "what is new is not sure" in early.stderr
    assert "neither a time nor a deployment" in run("--new-since", "3.0").stderr


@pytest.mark.usefixtures("log")
def test_nothing_is_said() -> None:
    """Nothing found is said, with what there is instead of a value that nothing has."""
    result = run("--cat", "e", "--where", "request=r9")
    assert result.stdout == ""
    assert "logd: no entries\n" in result.stderr
    assert "nothing is cat:e" in result.stderr
    assert "cat is I, E" in result.stderr
    assert "request is r" in result.stderr
    assert "none of them has absent" in run("absent:1").stderr
    assert "the log goes from 20" in run("--until", "2001-01-01", "record").stderr
    assert "%(usr)s: no field" in run("-3", "--format", "%(usr)s %(ms)s").stderr


@pytest.mark.usefixtures("log")
def test_views(tmp_path: Path) -> None:
    """A view selects what its file says, and all else that is asked for."""
    view = tmp_path / "errors.toml"
    view.write_text('q = "cat:E"\nnot = ["exc=ValueError"]\nhost = "10.0.0.7"\n')
    assert found("--view", str(view)) == [105, 115]
    assert found("--view", str(view), "ms:>1100") == [115]
    view.write_text("nonsense = 1\n")
    assert "unknown key 'nonsense'" in run("--view", str(view)).stderr


def test_several_logs(log: Path) -> None:
    """Files of several daemons are read as one, in the order of time."""
    write_log(log / "b/app_%d.log", [record(900, time=START + 90)])
    both = ["--file", "logs/logd_%d.log", "--file", "b/app_%d.log"]
    assert found(*both, "-4") == [0, 1, 900, 2]
    assert json.loads(run(*both, "--by", "cat", "--json").stdout.splitlines()[0])["count"] == 113


def test_what_is_around_in_several_logs(log: Path) -> None:
    """What is around an entry is what is around it in all logs."""
    others = [(898, 90), (899, 570), (900, 630)]
    write_log(log / "b/app_%d.log", [record(n, time=START + after) for n, after in others])
    both = ["--file", "logs/logd_%d.log", "--file", "b/app_%d.log", "cat:E"]
    assert found(*both, "ms:<200", "-C", "2") == [9, 899, 10, 900, 11]
    result = run(*both, "ms:<400", "-C", "1")
    assert numbers_of(result.stdout) == [899, 10, 900, 29, 30, 31]
    assert result.stdout.count("\n--\n") == 1


def test_notes_drive_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a note quotes from the log is as harmless as the log, and not longer than a line."""
    monkeypatch.chdir(tmp_path)
    items = [{"user": "\x1b[2Jann"}, {"user": "b" * 5000}]
    write_log(tmp_path / "logs/logd_%d.log", [record(n, special=items[n]) for n in range(2)])
    said = run("user:eve").stderr
    assert "\\x1b[2Jann" in said
    assert "\x1b" not in said
    assert len(said) < 400


def test_a_pager(log: Path) -> None:
    """On a terminal a pager gets the entries, unless it is not wanted."""
    pager = log / "pager"
    pager.write_text("#!/bin/sh\nsed 's/^/paged /'\n")
    pager.chmod(0o755)
    assert on_terminal(log, "query", "-2", LOGD_PAGER=str(pager)).count("paged ") == 2
    assert "paged" not in on_terminal(log, "query", "-2", "--no-pager", LOGD_PAGER=str(pager))
    shown = on_terminal(log, "query", "-2", LOGD_PAGER=str(pager)).splitlines()
    assert [line.startswith("paged ") for line in shown] == [True, True, False]
    assert "left out 118 more" in shown[2]


def test_a_pager_shows_what_a_terminal_does(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pager, too, counts have bars that fit, and narrow terminals show the message."""
    for asked in (["--by", "cat"], ["--by", "traceback", "cat:E"], ["--count"]):
        # On a busy machine there is a bar for what takes long; nothing of it stays.
        plain = on_terminal(log, "query", *asked).rpartition("\r\x1b[K")[2]
        assert on_terminal(log, "query", *asked, LOGD_PAGER="sh -c cat") == plain
    assert "\N{FULL BLOCK}" in on_terminal(log, "query", "--by", "cat", LOGD_PAGER="sh -c cat")
    monkeypatch.setattr(terminal, "COLUMNS", 40)
    shown = on_terminal(log, "query", "cat:E", "-1", LOGD_PAGER="sh -c cat", NO_COLOR="1")
    assert shown.splitlines()[0][11:].startswith(" E it failed")


@pytest.mark.usefixtures("log")
def test_times_as_people_write_them() -> None:
    """What came within a span is found, however it is written."""
    span = f"{int(time.time() - START - 118 * 60)}s"
    for text in (span, f"-{span}", f"{span} ago"):
        assert found("--since", text)[-1] == 119

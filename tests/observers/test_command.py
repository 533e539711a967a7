"""Records reach a real process on its standard input."""

from __future__ import annotations

import json
import shlex
import sys
import threading

import pytest

from logd.daemon.plugins import load_callables
from logd.observers import Command
from logd.observers.delivery import DeliveryLost

TIMEOUT_S = 60.0


@pytest.fixture
def make_command():
    """Makes observers that run a Python program, and closes them at the end."""
    commands = []

    def make(program, *args, **changes):
        argv = [sys.executable, "-S", "-c", program]
        commands.append(Command(argv, **{"interval_s": 0.0, "backoff_s": 0.001, **changes}))
        return commands[-1]

    yield make
    for command in commands:
        command.close(TIMEOUT_S)


def test_lines(make_command, make_job, tmp_path):
    """The process reads one JSON object a line, in order, whatever the messages contain."""
    seen = tmp_path / "seen"
    command = make_command(f"import sys; open({str(seen)!r}, 'a').write(sys.stdin.read())")
    texts = ["plain", "two\nlines", "$(touch /tmp/x); `id`", "\udc80\0"]
    for text in texts:
        command([make_job(text)], None)
    assert command.close(TIMEOUT_S)
    records = [json.loads(line) for line in seen.read_text().splitlines()]
    assert [record["msg"] for record in records] == texts
    assert records[0]["special"] == {"user": "ann"}


def test_selection(make_job, tmp_path):
    """Only the wanted records are given; a str is split as by a shell, but run without one."""
    seen = tmp_path / "seen it"
    program = f"import sys; open({str(seen)!r}, 'a').write(sys.stdin.read())"
    command = Command(shlex.join([sys.executable, "-c", program]), ["E"], "^pay")
    for cat, msg in (("E", "pay 1"), ("W", "pay 2"), ("E", "other")):
        command([make_job(msg, cat=cat)], None)
    assert command.close(TIMEOUT_S)
    assert [json.loads(line)["msg"] for line in seen.read_text().splitlines()] == ["pay 1"]


def test_asks_to_be_run_again(make_command, make_job, tmp_path):
    """Exit status 75 has the same records given again."""
    seen = tmp_path / "seen"
    command = make_command(
        f"import sys; text = sys.stdin.read(); f = open({str(seen)!r}, 'a+'); f.seek(0); "
        "again = not f.read(); f.write(text); f.close(); sys.exit(75 if again else 0)"
    )
    command([make_job("a")], None)
    while command.queue.delivered == 0:
        threading.Event().wait(0.005)
    first, second = seen.read_text().splitlines()
    assert first == second
    assert command.queue.lost == 0


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal SIGKILL"),
    ],
)
def test_failure(make_command, make_job, program, reason):
    """Any other end loses the records: counted, and told with the reason."""
    command = make_command(program)
    command([make_job("a" * 200_000)], None)  # more than a pipe holds, and never read
    while command.queue.lost == 0:
        threading.Event().wait(0.005)
    with pytest.raises(DeliveryLost, match=reason):
        command([make_job("b")], None)
    command.close(TIMEOUT_S)


def test_hanging_process(make_command, make_job, tmp_path):
    """A process whose time is over is killed with its children, and the next one runs."""
    children = tmp_path / "child"
    command = make_command(
        "import subprocess, sys, time\n"
        "if 'hang' in sys.stdin.read():\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"    open({str(children)!r}, 'w').write(str(child.pid))\n"
        "    time.sleep(600)\n",
        timeout_s=10.0,
    )
    command([make_job("hang")], None)
    while command.queue.lost == 0:
        threading.Event().wait(0.01)
    # It was killed, but nobody waited for it: the kernel ends it when it likes.
    while _runs(int(children.read_text())):
        threading.Event().wait(0.01)
    with pytest.raises(DeliveryLost, match=r"killed after 10 s"):
        command([make_job("fine")], None)
    assert command.close(TIMEOUT_S)
    assert command.queue.delivered == 1


def _runs(pid):
    """Whether the process exists and is more than a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - not a file of ours
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_absent_program(make_job, caplog):
    """A program that does not exist is tried again, then told; it may be installed meanwhile."""
    command = Command(["/nonexistent/program"], tries=2, backoff_s=0.001)
    command([make_job("a")], None)
    while command.queue.lost == 0:
        threading.Event().wait(0.005)
    assert "can't be run" in caplog.text
    assert "(2 tries)" in caplog.text
    command.close(TIMEOUT_S)


def test_in_settings(make_job, tmp_path):
    """A command is made from settings; blanks may be written as they are."""
    seen = tmp_path / "seen"
    (command,) = load_callables([f"logd.observers:Command?command=tee {seen}&cats=E"])
    command([make_job("a")], None)
    assert command.close(TIMEOUT_S)
    assert json.loads(seen.read_text())["msg"] == "a"


def test_errors():
    """An empty command is refused."""
    for nothing in ("", []):
        with pytest.raises(ValueError, match="command"):
            Command(nothing)

"""`logd send`: messages and lines, delivered or a clear word."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logd.cli.send import _MAX_LINE_CHARS

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Serve = Callable[..., Any]


def test_message_with_category_and_items(logd: Command, serve: Serve) -> None:
    """A message is in the log when the command returns, with category and special items."""
    daemon = serve()
    items = ("--special", "user=ann lee", "--special", "n=3", "--special", "id=007")
    port = str(daemon.port)
    done = logd("send", "payment", "failed", "--cat", "E", *items, "--port", port)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (line,) = daemon.log.splitlines()
    assert " E " in line
    assert "payment failed" in line
    assert 'user="ann lee" n=3 id="007"' in line


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_lines_of_standard_input(logd: Command, serve: Serve, arguments: tuple[str, ...]) -> None:
    """Each line of standard input is a record; the last one needs no line end."""
    daemon = serve()
    text = "first\n\nthird\r\nüber\n\udcff\nlast"
    done = logd("send", *arguments, "--port", str(daemon.port), stdin=text)
    assert (done.returncode, done.stderr) == (0, "")
    messages = [
        line.split("\t")[0].partition("#")[2].partition(" ")[2] for line in daemon.log.splitlines()
    ]
    assert messages == ["first", "", "third", "über", "\\udcff", "last"]


def test_line_without_end(logd: Command, serve: Serve) -> None:
    """A line longer than fits the memory comes as several records, nothing of it missing."""
    daemon = serve()
    logd("send", "--port", str(daemon.port), stdin="x" * (_MAX_LINE_CHARS + 5))
    assert len(daemon.log.splitlines()) == 2
    assert daemon.log.count("x") == _MAX_LINE_CHARS + 5


def test_no_lines(logd: Command, serve: Serve) -> None:
    """Nothing on standard input is nothing to send, and no error."""
    daemon = serve()
    assert logd("send", "--port", str(daemon.port)).returncode == 0


def test_lines_come_as_they_are_written(serve: Serve) -> None:
    """A line is in the log while standard input is still open."""
    daemon = serve()
    command = [sys.executable, "-m", "logd", "send", "--port", str(daemon.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as sender:
        assert sender.stdin is not None
        sender.stdin.write("early\n")
        sender.stdin.flush()
        wait_for_line(daemon.folder / "logs/logd_0.log", "early")
        # Ctrl-C delivers what was read, and tells the shell that it was Ctrl-C.
        sender.send_signal(signal.SIGINT)
        assert sender.wait(60) == 130
    assert len(daemon.log.splitlines()) == 1


def wait_for_line(path: Path, word: str) -> None:
    """Return once `word` is in the file, by following it as a person would."""
    follow = ["tail", "-F", "-n", "+1", str(path)]
    with subprocess.Popen(
        follow, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as tail:
        assert tail.stdout is not None
        try:
            assert any(word in line for line in tail.stdout)
        finally:
            tail.kill()


def test_unix_socket(logd: Command, serve: Serve) -> None:
    """A daemon is reached by its Unix socket too."""
    daemon = serve("--socket", "s")
    assert logd("send", "hello", "--socket", "s").returncode == 0
    assert "hello" in daemon.log


def test_variables_of_apps(logd: Command, serve: Serve) -> None:
    """LOGD_HOSTS and LOGD_URL name the daemon as they do for apps; options go before them."""
    port = serve().port
    there, nowhere = f"127.0.0.1:{port}", "127.0.0.1:1"
    for variables in ({"LOGD_HOSTS": f"{nowhere},{there}"}, {"LOGD_URL": f"logd://{there}"}):
        assert logd("send", "by variable", **variables).returncode == 0
    named = ("--host", "127.0.0.1", "--port", str(port))
    assert logd("send", "by option", *named, LOGD_HOSTS=nowhere).returncode == 0
    assert f"{there}: logd answered" in logd("ping", LOGD_HOSTS=there).stdout
    wrong = logd("send", "x", LOGD_HOSTS="a:b")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("logd: LOGD_HOSTS")
    # What an app encrypts is not sent in the clear.
    refused = logd("send", "x", *named, "--timeout", "2", LOGD_TLS="1")
    assert refused.returncode == 1


def test_nobody_there(logd: Command) -> None:
    """Without a daemon one line says so after the time, with status 1."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
        done = logd("send", "x", "--host", "127.0.0.1", "--port", port, "--timeout", "0.3")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"logd: 1 record not delivered to 127.0.0.1:{port} within 0.3 s: ")
    assert done.returncode == 1


def test_token(logd: Command, serve: Serve, tmp_path: Path) -> None:
    """The token comes from a file or LOGD_TOKEN; without it the daemon's refusal is told."""
    token = tmp_path / "token"
    token.write_text("geheim\n")
    token.chmod(0o600)
    daemon = serve("--token-file", str(token))
    where = ("--port", str(daemon.port))
    refused = logd("send", "x", *where, "--timeout", "3")
    assert refused.returncode == 1
    assert "token" in refused.stderr
    assert logd("send", "by file", *where, "--token-file", "token").returncode == 0
    assert logd("send", "by variable", *where, LOGD_TOKEN="geheim").returncode == 0
    assert [word in daemon.log for word in ("by file", "by variable")] == [True, True]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--special", "novalue"),
        ("--special", "=x"),
        ("--socket", "s", "--tls"),
        ("--tls-key", os.devnull),
        ("--timeout", "0"),
    ],
)
def test_wrong_usage(logd: Command, arguments: tuple[str, ...]) -> None:
    """Options that make no sense end with status 2."""
    assert logd("send", "x", *arguments).returncode == 2

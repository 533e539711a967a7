"""`logd ping`: whether a daemon answers."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Serve = Callable[..., Any]


def test_answer(logd: Command, serve: Serve) -> None:
    """A daemon that answers gives status 0 and the round trip; nothing is logged."""
    daemon = serve()
    done = logd("ping", "--port", str(daemon.port))
    assert re.fullmatch(rf"\S*:{daemon.port}: logd answered in [\d.]+ ms\n", done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (daemon.folder / "logs/logd_0.log").exists() or daemon.log == ""


def test_first_port_that_answers(logd: Command, serve: Serve) -> None:
    """Of several ports the first with a daemon is used."""
    daemon = serve()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ports = ("--port", str(unused.getsockname()[1]), "--port", str(daemon.port))
        done = logd("ping", *ports)
    assert f":{daemon.port}: logd answered" in done.stdout


def test_nobody_there(logd: Command) -> None:
    """Without a daemon the status is 1 and one line gives the reason."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
        done = logd("ping", "--host", "127.0.0.1", "--port", port)
    assert done.stderr == f"logd: no daemon answers: 127.0.0.1:{port}: Connection refused\n"
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (None, "no answer within"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no logd server"),
        (bytes(12), "no logd server"),
        (b"\0\0\0\x08\x80\0\0\0\0\0\0\x06", "server is stopping"),
    ],
)
def test_something_else_is_there(logd: Command, answer: bytes | None, word: str) -> None:
    """A port that is open and no daemon's, or a refusal, is told from an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        hold = threading.Event()

        def serve_one() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                if answer is None:
                    hold.wait(30)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve_one)
        thread.start()
        port = str(server.getsockname()[1])
        patience = "0.5" if answer is None else "30"
        done = logd("ping", "--host", "127.0.0.1", "--port", port, "--timeout", patience)
        hold.set()
        thread.join()
    (line,) = done.stderr.splitlines()
    assert word in line
    assert done.returncode == 1


def test_tls(logd: Command, serve: Serve, tmp_path: Path) -> None:
    """Over TLS the daemon's certificate is verified, by the authority that is named."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    own = ("--tls-cert", "server.pem", "--tls-key", "server.pem")
    # No plain port: the only one in the line of readiness is that of TLS.
    daemon = serve("--port", "", "--tls-port", "0", *own)
    where = ("ping", "--port", str(daemon.port))
    assert logd(*where, "--tls-ca", "ca.pem").returncode == 0
    distrusted = logd(*where, "--tls")
    assert "certificate is not accepted" in distrusted.stderr
    plain = logd(*where, "--timeout", "2")
    assert (distrusted.returncode, plain.returncode) == (1, 1)


def test_the_daemon_of_the_settings(logd: Command, serve: Serve, tmp_path: Path) -> None:
    """A daemon is found by its settings, as `logd tail` finds its log: port, socket and token."""
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "token").chmod(0o600)
    settings = tmp_path / "logd.toml"
    settings.write_text(f'host = ["127.0.0.1"]\nport = [0]\ntoken_file = "{tmp_path}/token"\n')
    daemon = serve("--config", str(settings), "--socket", "here.sock")
    settings.write_text(settings.read_text().replace("[0]", f"[{daemon.port}]"))
    for named in ({"arguments": ["--config", str(settings)]}, {"LOGD_CONFIG": str(settings)}):
        done = logd("ping", *named.pop("arguments", []), **named)  # type: ignore[arg-type]
        assert f"127.0.0.1:{daemon.port}: logd answered" in done.stdout, done.stderr
    done = logd("send", "found", LOGD_CONFIG=str(settings), LOGD_SOCKET="here.sock")
    assert done.returncode == 0, done.stderr
    assert "found" in daemon.log

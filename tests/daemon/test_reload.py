"""Reloads of a real daemon: what changes, what stays, and that nothing is lost on the way."""

from __future__ import annotations

import re
import shutil
import signal
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from logd.errors import LogdError
from logd.outputs.queuefolder import QueueFolder, queue_folders
from tests.clients import Connect
from tests.daemon.reloading import (
    BUFFER_BYTES,
    PATIENCE_S,
    PlainSender,
    Sender,
    Settings,
    numbers,
    table_texts,
)
from tests.hostile.attack import Peer, batch, opening, until


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings file of a daemon."""
    return Settings(tmp_path)


def test_twenty_reloads_at_full_speed_lose_and_repeat_nothing(
    settings: Settings, connect: Connect
) -> None:
    """Outputs come, go and change while clients send: what stays has each record exactly once.

    The outputs that alternate have together each record once for each of them that was there.
    """
    folder = settings.folder
    variants: list[dict[str, object]] = [
        {"file": ["logs/a_%d.log", "logs/b_%d.log"]},
        {"file": ["logs/a_%d.log"], "db": "sqlite:///x.db"},
        {"file": ["logs/a_%d.log", "logs/c_%d.log"], "rotate_lines": 50_000},
        {"file": ["logs/c_%d.log", "logs/a_%d.log"], "timestamp": "std1"},
    ]
    common = {"rotate_count": 1000, "rotate_lines": 1_000_000}
    settings.write(**common)
    with settings.running() as daemon:
        senders: list[Sender | PlainSender] = [
            Sender("ann", connect(daemon.port, buffer_bytes=BUFFER_BYTES)),
            Sender("bob", connect(daemon.port, buffer_bytes=BUFFER_BYTES)),
            PlainSender("carl", daemon.port),
        ]
        for sender in senders:
            sender.start()
        for number in range(20):
            before = senders[0].count
            answer = settings.reload(**{**common, **variants[number % len(variants)]})
            assert answer["changed"], answer
            while senders[0].count < before + 500:
                senders[0].join(0.005)
        for sender in senders:
            sender.must_stop.set()
            sender.join(PATIENCE_S)
        assert all(sender.is_delivered for sender in senders if isinstance(sender, Sender))
        status = settings.ask("status")
        assert status["connections"]["accepted"] == 3
        assert daemon.stop() == 0, daemon.output
        expected = {(s.sender, n) for s in senders for n in range(s.count)}
        stayed = numbers(settings.log_text("a"))
        assert len(stayed) == len(expected)
        assert set(stayed) == expected
        for sender in senders:
            own = [number for name, number in stayed if name == sender.sender]
            assert own == sorted(own)
        others = [
            numbers(settings.log_text("b")),
            numbers(settings.log_text("c")),
            numbers(table_texts(folder / "x.db")),
        ]
        for found in others:
            assert found
            assert max(Counter(found).values()) == 1
            assert set(found) <= expected
        assert not queue_folders(folder / "state")


def test_the_only_output_is_exchanged_without_a_gap(settings: Settings, connect: Connect) -> None:
    """Records go to the old file up to the reload and to the new one from then on: all, once."""
    with settings.running() as daemon:
        sender = Sender("ann", connect(daemon.port, buffer_bytes=BUFFER_BYTES))
        sender.start()
        for number in range(6):
            before = sender.count
            settings.reload(file=f"logs/{'ab'[number % 2]}_%d.log")
            while sender.count < before + 500:
                sender.join(0.005)
        sender.must_stop.set()
        sender.join(PATIENCE_S)
        assert daemon.stop() == 0, daemon.output
        found = numbers(daemon.log_text("logs/*.log"))
        assert sorted(found) == [("ann", number) for number in range(sender.count)]


def test_a_bad_file_changes_nothing(settings: Settings, connect: Connect) -> None:
    """What is wrong is named with file and key; the old settings stay in force."""
    with settings.running() as daemon:
        for wrong, said in (
            ({"rotate_lines": "many"}, r"logd\.toml: rotate_lines"),
            ({"no_such_key": 1}, r"logd\.toml: unknown key \"no_such_key\""),
            ({"filter": ["no.such.module:thing"]}, r"no\.such\.module"),
            ({"file": ["logs/a_%d.log", "/proc/nowhere/b_%d.log"]}, r"/proc/nowhere"),
            ({"file": ["/proc/nowhere/b_%d.log"]}, r"/proc/nowhere"),
            ({"rotate_lines": 5, "db": "postgresql://x@127.0.0.1:1/y"}, r"127\.0\.0\.1"),
            ({"line_format": "%(nothing"}, r"line_format"),
        ):
            with pytest.raises(LogdError, match=said):
                settings.reload(**wrong)
        settings.path.write_text("file = [\n")
        with pytest.raises(LogdError, match=r"logd\.toml: not valid TOML"):
            settings.ask("reload")
        daemon.wait_line(r"ERROR .*not reloaded, the old settings stay in force: .*not valid TOML")
        log = connect(daemon.port)
        log("still here")
        assert log.flush(PATIENCE_S)
        status = settings.ask("status")
        assert [output["name"] for output in status["outputs"]] == [
            f"file {settings.folder}/logs/a_%d.log"
        ]
        assert status["reloads"] == {"total": 8, "last_succeeded": False}
        assert "still here" in daemon.log_text("logs/a_*.log")


def test_what_needs_a_restart_is_named(settings: Settings) -> None:
    """Settings that can't change are named in one line; the others change all the same."""
    with settings.running() as daemon:
        answer = settings.reload(host="127.0.0.2", loop="asyncio", rotate_lines=7)
        assert answer["changed"] == ["rotate_lines"]
        assert answer["at_restart"] == ["host", "loop"]
        daemon.wait_line(r"WARNING .*takes effect only after a restart: host, loop")
        daemon.wait_line(r"reloaded; changed: rotate_lines")


def test_rotation_and_format_change(settings: Settings, connect: Connect) -> None:
    """New limits and formats hold from the reload on, in the same file."""
    with settings.running() as daemon:
        log = connect(daemon.port)
        log("one")
        assert log.flush(PATIENCE_S)
        settings.reload(rotate_lines=2, line_format="%(message)s!")
        for text in ("two", "three"):
            log(text)
        assert log.flush(PATIENCE_S)
        assert daemon.stop() == 0
        files = sorted((settings.folder / "logs").glob("a_*.log"))
        assert [path.read_text().splitlines()[-1] for path in files] == ["two!", "three!"]


FILTERS = """
import pathlib
class Mark:
    def __init__(self, text: str = "x") -> None:
        self.text, self.seen = text, 0
    def __call__(self, jobhist, writer):
        self.seen += 1
        jobhist[-1].msg += f" {self.text}{self.seen}"
    def close(self, timeout_s):
        pathlib.Path("closed").open("a").write(f"{self.text}{self.seen}\\n")
"""


def test_filters_change_and_those_that_stay_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    """A filter that stays keeps what it counted; one that goes is closed, as all are at a stop."""
    (settings.folder / "marking.py").write_text(FILTERS)
    monkeypatch.setenv("PYTHONPATH", str(settings.folder))
    settings.write(filter=["marking:Mark?text=a"])
    with settings.running() as daemon:
        log = connect(daemon.port)
        log("one")
        assert log.flush(PATIENCE_S)
        settings.reload(filter=["marking:Mark?text=b", "marking:Mark?text=a"])
        log("two")
        assert log.flush(PATIENCE_S)
        settings.reload(filter=["marking:Mark?text=b"])
        closed = settings.folder / "closed"
        assert closed.read_text() == "a2\n"
        assert daemon.stop() == 0
        assert closed.read_text() == "a2\nb1\n"
        texts = re.findall(r"(?:one|two)[^\t]*", daemon.log_text("logs/a_*.log"))
        assert texts == ["one a1", "two b1 a2"]


def test_tokens_and_networks_change(settings: Settings, connect: Connect) -> None:
    """A new token holds for new connections; those that are open stay."""
    token = settings.folder / "token"
    token.write_text("first\n")
    token.chmod(0o600)
    settings.write(token_file="token")
    with settings.running() as daemon:
        log = connect(daemon.port, token="first")
        log("by the first token")
        assert log.flush(PATIENCE_S)
        token.write_text("second\n")
        assert settings.reload(token_file="token")["changed"] == ["token_file"]
        log("still connected")
        assert log.flush(PATIENCE_S)
        second = connect(daemon.port, token="second")
        second("by the second token")
        assert second.flush(PATIENCE_S)
        settings.reload(allow=["10.0.0.0/8"])
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
            sock.settimeout(PATIENCE_S)
            assert sock.recv(1) == b""
        daemon.wait_line("not in the allow-list")


def test_certificates_are_read_anew(settings: Settings, connect: Connect) -> None:
    """After a reload handshakes show the new certificate, on the same open port."""
    folder = settings.folder
    authorities = [trustme.CA(), trustme.CA()]

    def put(authority: trustme.CA) -> None:
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(folder / "key.pem")
        issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")

    tls = {"tls_port": [0], "tls_cert": "cert.pem", "tls_key": "key.pem"}
    put(authorities[0])
    settings.write(**tls)
    with settings.running() as daemon:
        tls_port = int(re.search(r":(\d+) \(TLS\)", daemon.output)[1])  # type: ignore[index]
        for number, authority in enumerate(authorities):
            if number:
                put(authority)
                settings.reload(**tls)
            authority.cert_pem.write_to_path(folder / "ca.pem")
            log = connect(tls_port, tls_ca=str(folder / "ca.pem"))
            log(f"by certificate {number}")
            assert log.flush(PATIENCE_S)
        (folder / "cert.pem").write_text("nonsense")
        with pytest.raises(LogdError, match=r"cert\.pem"):
            settings.ask("reload")


def test_an_output_that_can_neither_write_nor_keep_ends_the_daemon(
    settings: Settings, postgresql: Any
) -> None:
    """Removing it must not make its records look stored: a later number would acknowledge them."""
    with_db = {"db": postgresql.url, "table_pattern": postgresql.pattern}
    settings.write(**with_db)
    with settings.running() as daemon, Peer(daemon.port) as peer:
        peer.send(opening(), batch("from ann number 1", 1)).wait_acked(1)
        postgresql.take_away()
        peer.send(batch("from ann number 2", 2))
        daemon.wait_line(r"is unavailable, retrying")
        settings.reload()
        peer.wait_acked(2)
        (queue,) = queue_folders(settings.folder / "state")
        postgresql.bring_back()
        settings.reload(**with_db)
        until(lambda: not QueueFolder(queue).segments(), "what is on disk is written")
        postgresql.take_away()
        shutil.rmtree(queue)
        queue.write_bytes(b"")
        peer.send(batch("from ann number 3", 3))
        until(lambda: daemon.output.count("is unavailable, retrying") == 2, "away again")
        settings.write()
        daemon.signal(signal.SIGHUP)
        daemon.wait_line(r"neither written nor kept on disk")
        peer.send(batch("from ann number 4", 4))
        assert peer.answer() is None
        assert daemon.wait() == 1


def test_an_output_that_is_away_can_be_removed(
    settings: Settings, postgresql: Any, connect: Connect
) -> None:
    """Removing a dead output frees the queue: what it lacks waits on disk until it is back."""
    with_db = {"db": postgresql.url, "table_pattern": postgresql.pattern}
    settings.write(**with_db)
    with settings.running() as daemon:
        log = connect(daemon.port)
        log("from ann number 0")
        assert log.flush(PATIENCE_S)
        postgresql.take_away()
        log("from ann number 1")
        daemon.wait_line(r"is unavailable, retrying")
        settings.reload()
        assert log.flush(PATIENCE_S)
        assert queue_folders(settings.folder / "state")
        postgresql.bring_back()
        settings.reload(**with_db)
        log("from ann number 2")
        assert log.flush(PATIENCE_S)
        assert daemon.stop() == 0, daemon.output
        rows = postgresql.rows(f"{postgresql.prefix}_0", "id")
        expected = [("ann", number) for number in range(3)]
        assert numbers("\n".join(row["msg"] for row in rows)) == expected
        found = numbers(daemon.log_text("logs/a_*.log"))
        assert found == expected


def test_hangups_reopen_files_whatever_the_settings_say(
    settings: Settings, connect: Connect
) -> None:
    """SIGHUP begins a new file where the old one was moved away, also with a bad settings file."""
    settings.write(file="logs/app.log", rotate_lines="off")
    path = settings.folder / "logs/app.log"
    with settings.running() as daemon:
        log = connect(daemon.port)
        log("before")
        assert log.flush(PATIENCE_S)
        path.rename(path.with_suffix(".old"))
        settings.path.write_text("nonsense")
        daemon.signal(signal.SIGHUP)
        daemon.wait_line("not reloaded")
        log("after")
        assert log.flush(PATIENCE_S)
        assert "before" in path.with_suffix(".old").read_text()
        assert "before" not in path.read_text()
        assert "after" in path.read_text()


def test_a_stop_right_after_a_hangup_waits_for_the_reload(
    settings: Settings, connect: Connect, free_port: Callable[[], int]
) -> None:
    """SIGHUP and SIGTERM at once: the daemon ends as it should, with every record written."""
    with settings.running(free_port()) as daemon:
        sender = Sender("ann", connect(daemon.port, buffer_bytes=BUFFER_BYTES))
        sender.start()
        settings.write(file="logs/b_%d.log")
        while sender.count < 2000:
            sender.join(0.005)
        daemon.signal(signal.SIGHUP)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.output
        sender.must_stop.set()
        with settings.running(port=daemon.port) as again:
            sender.join(PATIENCE_S)
            assert sender.is_delivered
            assert again.stop() == 0
            found = numbers(again.log_text("logs/*.log"))
        assert sorted(found) == [("ann", number) for number in range(sender.count)]


def test_kill_9_right_after_a_reload_loses_nothing(
    settings: Settings, connect: Connect, free_port: Callable[[], int]
) -> None:
    """The only output is exchanged, then the daemon is killed: every record is in one of the two.

    A record whose acknowledgement was cut off may be in both: neither log has it twice.
    """
    with settings.running(free_port()) as daemon:
        sender = Sender("ann", connect(daemon.port, buffer_bytes=BUFFER_BYTES))
        sender.start()
        while sender.count < 2000:
            sender.join(0.005)
        settings.reload(file="logs/b_%d.log")
        daemon.kill()
        with settings.running(port=daemon.port) as again:
            sender.must_stop.set()
            sender.join(PATIENCE_S)
            assert sender.is_delivered
            assert again.stop() == 0
            logs = [numbers(again.log_text(f"logs/{name}_*.log")) for name in "ab"]
        assert set(logs[0]) | set(logs[1]) == {("ann", number) for number in range(sender.count)}
        assert all(len(found) == len(set(found)) for found in logs)

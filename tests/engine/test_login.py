"""Logins to an engine by real servers' rules: a user's NKey, a JWT, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from logd.engine.address import parse
from logd.engine.credentials import login_by
from logd.engine.link import EngineLink
from logd.outputs.base import OutputUnusable
from logd_client import createClientLog
from tests.daemon_process import DaemonProcess, running
from tests.engine.engines import single_engine
from tests.engine.logins import Operator, nkey_config, user_key
from tests.waiting import wait_for


def by_nkey(folder: Path) -> tuple[str, Path]:
    """A server's configuration, and the file to log in with: a seed alone."""
    key = user_key()
    file = folder / "user.nk"
    file.write_text(f"{key.seed}\n")
    return nkey_config(key), file


def by_jwt(folder: Path) -> tuple[str, Path]:
    """The same with accounts: a JWT and its key."""
    operator = Operator()
    return operator.config, operator.write_creds(folder / "user.creds")


@pytest.mark.parametrize("way", [by_nkey, by_jwt], ids=["nkey", "jwt"])
def test_daemons_log_in_by_a_file(way: Callable[[Path], tuple[str, Path]], tmp_path: Path) -> None:
    """A record goes from an ingest daemon into a store's file; nobody shows the key."""
    config, creds = way(tmp_path)
    seed = next(line for line in creds.read_text().splitlines() if line.startswith("SU"))
    out = tmp_path / "out"
    out.mkdir()
    with single_engine(tmp_path, more=config) as engine:
        output = ("--output", engine.output(partitions=1, creds=creds))
        source = ("--source", engine.source(partitions="0", creds=creds))
        with running(*output, folder=tmp_path) as ingest:
            with createClientLog("127.0.0.1", ingest.port, environ={}) as log:
                assert log("let in", sync=60)
            with running(*source, "--file", "log_%p_%d.log", folder=out, port=None) as store:
                file = out / "log_0_0.log"
                wait_for(lambda: file.exists() and "let in" in file.read_text(), "the record")
                assert store.stop() == 0
            assert ingest.stop() == 0
    assert seed not in ingest.output + store.output


@pytest.mark.parametrize("way", [by_nkey, by_jwt], ids=["nkey", "jwt"])
def test_a_key_that_nobody_knows(way: Callable[[Path], tuple[str, Path]], tmp_path: Path) -> None:
    """A login that the server refuses ends the start with a line that says so."""
    config, _ = way(tmp_path)
    _, other = way(tmp_path)
    with single_engine(tmp_path, more=config) as engine:
        url = engine.output(partitions=1, creds=other)
        daemon = DaemonProcess("--output", url, folder=tmp_path)
        assert daemon.wait() == 1
        assert "refuses the login" in daemon.lines[-1]


def test_the_file_is_read_anew(tmp_path: Path) -> None:
    """A key that was exchanged on both sides is used for the next connection."""
    config, creds = by_nkey(tmp_path)
    with single_engine(tmp_path, more=config) as engine:
        (server,) = engine.servers
        url = engine.output(creds=creds).removeprefix("nats:")
        link = EngineLink(parse(url, reads=False), "always")
        try:
            link.open()
            server.stop()
            wait_for(lambda: link.problem != "", "the end of the connection")
            fresh, creds = by_nkey(tmp_path)
            server.reconfigure(config, fresh)
            server.start()
            wait_for(lambda: link.problem == "", "a connection with the new key")
        finally:
            link.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "No such file"),
        ("", "expected a user's JWT and the seed"),
        ("nothing of the kind\n" * 10_000, "expected a user's JWT and the seed"),
        (
            "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n",
            "expected a user",
        ),
        ("SU" + "A" * 56, "the seed of its key is damaged"),
        ("\u00fc", "it is no text"),
    ],
)
def test_files_that_can_not_be_used(text: str | None, expected: str, tmp_path: Path) -> None:
    """One that is absent, empty, of another kind or damaged is named, with what is expected."""
    file = tmp_path / "user.creds"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(OutputUnusable, match=expected) as caught:
        login_by(str(file))
    assert str(file) in str(caught.value)

"""Daemons that stand for each other, with TLS: each way to name them, each checked by its name."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from logd_client import LogdHandler, createClientLog
from tests.chaos.proxy import Gate
from tests.daemon.peers.test_tls import Authority, Problems, serving
from tests.waiting import wait_for

NAMES = ("localhost", "127.0.0.1")
"""Each is the name of one daemon's certificate; both lead to this machine."""


@dataclass
class Pair:
    """Two daemons, whose certificates are for one name each, behind gates that can be shut.

    Attributes:
        authority: signed both certificates.
        gates: what clients connect to.
        folders: where each daemon writes its log.
    """

    authority: Authority
    gates: list[Gate]
    folders: list[Path]

    def hosts(self, *names: str) -> str:
        """Where clients find the two by these names, in the order of `gates`."""
        return ",".join(f"{name}:{gate.port}" for name, gate in zip(names, self.gates, strict=True))

    def has(self, number: int, text: str) -> bool:
        """Whether a daemon's log has a record with this text."""
        return any(text in path.read_text() for path in self.folders[number].rglob("logd_*.log"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The two, for all tests here."""
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as stack:
        authority = Authority(folder / "authority")
        folders = [folder / name for name in "ab"]
        gates = []
        for own, name in zip(folders, NAMES, strict=True):
            own.mkdir()
            _, port = stack.enter_context(serving(authority, own, names=(name,)))
            gates.append(Gate(port))
            stack.callback(gates[-1].close)
        yield Pair(authority, gates, folders)


def by_argument(pair: Pair, text: str) -> None:
    """`createClientLog(hosts=...)`."""
    hosts = pair.hosts(*NAMES).split(",")
    with createClientLog(hosts=hosts, tls_ca=pair.authority.file, environ={}) as log:
        assert log(text, sync=60)


def by_handler(pair: Pair, text: str) -> None:
    """`LogdHandler(hosts=...)`."""
    hosts = pair.hosts(*NAMES).split(",")
    handler = LogdHandler(hosts=hosts, tls_ca=pair.authority.file, environ={})
    try:
        handler.handle(logging.makeLogRecord({"msg": text}))
        assert handler.server.flush(60)
    finally:
        handler.close()


def by_url(pair: Pair, text: str) -> None:
    """A URL in place of the host."""
    url = f"logds://{pair.hosts(*NAMES)}?tls_ca={pair.authority.file}"
    with createClientLog(url, environ={}) as log:
        assert log(text, sync=60)


def by_variable(pair: Pair, text: str) -> None:
    """`LOGD_HOSTS`."""
    environ = {"LOGD_HOSTS": pair.hosts(*NAMES), "LOGD_TLS_CA": pair.authority.file}
    with createClientLog(environ=environ) as log:
        assert log(text, sync=60)


def by_variable_url(pair: Pair, text: str) -> None:
    """`LOGD_URL`."""
    url = f"logds://{pair.hosts(*NAMES)}?tls_ca={pair.authority.file}"
    with createClientLog(environ={"LOGD_URL": url}) as log:
        assert log(text, sync=60)


def by_command(pair: Pair, text: str) -> None:
    """`logd send --hosts`."""
    options = ["--hosts", pair.hosts(*NAMES), "--tls-ca", pair.authority.file]
    command = [sys.executable, "-m", "logd", "send", text, *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LOGD_")}
    assert subprocess.run(command, check=False, env=environment).returncode == 0


WAYS = (by_argument, by_handler, by_url, by_variable, by_variable_url, by_command)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_one_that_is_there_gets_the_record(
    pair: Pair, way: Callable[[Pair, str], None]
) -> None:
    """Whichever of the two is gone, the other one is found, and accepted by its own name."""
    for there, gone in ((0, 1), (1, 0)):
        pair.gates[gone].shut()
        try:
            way(pair, f"{way.__name__} to {there}")
        finally:
            pair.gates[gone].open()
        assert pair.has(there, f"{way.__name__} to {there}")
        assert not pair.has(gone, f"{way.__name__} to {there}")


def test_a_session_goes_on_at_another_name(pair: Pair) -> None:
    """A client whose daemon goes away is at the other one next, whose certificate has its name."""
    hosts = pair.hosts(*NAMES).split(",")
    with createClientLog(hosts=hosts, tls_ca=pair.authority.file, environ={}) as log:
        assert log("moves: before", sync=60)
        first = 0 if pair.has(0, "moves: before") else 1
        place = log.server.connected_to
        pair.gates[first].shut()
        try:
            # What is sent before the client has noticed waits for the daemon that was sent it.
            wait_for(lambda: log.server.connected_to not in (place, None))
            assert log("moves: after", sync=60)
        finally:
            pair.gates[first].open()
        assert pair.has(1 - first, "moves: after")


def test_a_certificate_for_the_other_name_is_refused(pair: Pair) -> None:
    """Each host has to show its own name: with the names exchanged neither is accepted."""
    problems = Problems()
    hosts = pair.hosts(*NAMES[::-1]).split(",")
    log = createClientLog(
        hosts=hosts,
        tls_ca=pair.authority.file,
        environ={},
        errorHandler=problems,
        exit_timeout_s=0,
    )
    log("never there")
    text = problems.first()
    for name, gate in zip(NAMES[::-1], pair.gates, strict=True):
        assert f"TLS to {name}:{gate.port}: the server's certificate is not accepted" in text
        assert f"expected one for '{name}'" in text
    log.close()
    assert not any(pair.has(number, "never there") for number in (0, 1))


def test_one_name_for_all_of_them(pair: Pair) -> None:
    """`tls_server_name` is asked of each host, in place of its own name."""
    hosts = pair.hosts("127.0.0.1", "127.0.0.1").split(",")
    pair.gates[1].shut()
    try:
        with createClientLog(
            hosts=hosts, tls_ca=pair.authority.file, tls_server_name="localhost", environ={}
        ) as log:
            assert log("by one name", sync=60)
    finally:
        pair.gates[1].open()
    assert pair.has(0, "by one name")

"""TLS with real certificates: encrypted, checked by default, and clear about what failed."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer

from logd_client import createClientLog

trustme = pytest.importorskip("trustme", reason="trustme makes the certificates")


class Authority:
    """A certificate authority with files for both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def context(self, name: str = "localhost", **kwargs: Any) -> ssl.SSLContext:
        """A server's context with a certificate for `name`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name, **kwargs).configure_cert(context)
        return context

    def client_files(self) -> dict[str, str]:
        """Certificate and key of a client, as its settings."""
        cert = self.ca.issue_cert("client.example")
        paths = {"tls_cert": self.folder / "client.pem", "tls_key": self.folder / "client.key"}
        cert.cert_chain_pems[0].write_to_path(str(paths["tls_cert"]))
        cert.private_key_pem.write_to_path(str(paths["tls_key"]))
        return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of this test."""
    return Authority(tmp_path)


class Problems(list[str]):
    def handleException(self, e: BaseException) -> None:
        self.append(str(e))


@pytest.fixture
def problems() -> Problems:
    """What the client tells people."""
    return Problems()


def connect(server: AckServer, problems: Problems, **kwargs: Any) -> Any:
    """A log over TLS that gives up quickly at the end."""
    return createClientLog(
        "localhost", (server.port,), errorHandler=problems, exit_timeout_s=0, **kwargs
    )


def wait_for(problems: Problems) -> str:
    """The first problem that was told."""
    deadline = time.monotonic() + 60
    while not problems:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return problems[0]


def test_records_pass_encrypted(authority: Authority, problems: Problems) -> None:
    """A server whose certificate the given authority signed gets the records."""
    with AckServer(tls=authority.context()) as server:
        log = connect(server, problems, tls_ca=authority.file)
        for n in range(20_000):
            log(str(n))
        assert log.flush(60)
        server.cut()
        log("after", sync=60)
        assert server.texts == [*[str(n) for n in range(20_000)], "after"]
        log.close()
    assert problems == []


def test_the_certificates_name_is_checked(authority: Authority, problems: Problems) -> None:
    """A certificate for another host is refused and the text names both; a given name helps."""
    with AckServer(tls=authority.context("loghost.example")) as server:
        log = connect(server, problems, tls_ca=authority.file)
        log("m")
        text = wait_for(problems)
        assert f"TLS to localhost:{server.port}: the server's certificate is not accepted" in text
        assert "'localhost'" in text
        log.close()
        named = connect(server, problems, tls_ca=authority.file, tls_server_name="loghost.example")
        named("m", sync=60)
        assert server.texts == ["m"]
        named.close()


def test_unknown_authorities_are_refused(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory, problems: Problems
) -> None:
    """A certificate by somebody else is refused, unless `tls_verify=False` asks for it."""
    other = Authority(tmp_path_factory.mktemp("other"))
    with AckServer(tls=other.context()) as server:
        log = connect(server, problems, tls_ca=authority.file)
        log("m")
        assert "not accepted" in wait_for(problems)
        log.close()
        careless = connect(server, problems, tls_verify=False)
        careless("m", sync=60)
        careless.close()


def test_expired_certificates_are_refused(authority: Authority, problems: Problems) -> None:
    """A certificate of the past is refused with that reason."""
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    context = authority.context(not_before=past, not_after=past + datetime.timedelta(days=1))
    with AckServer(tls=context) as server:
        log = connect(server, problems, tls_ca=authority.file)
        log("m")
        assert "certificate has expired" in wait_for(problems)
        log.close()


def test_client_certificates(authority: Authority, problems: Problems) -> None:
    """A server that wants one gets it; without one the client says what to set."""
    context = authority.context()
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    with AckServer(tls=context) as server:
        log = connect(server, problems, tls_ca=authority.file, **authority.client_files())
        log("m", sync=60)
        log.close()
        assert problems == []
        log = connect(server, problems, tls_ca=authority.file)
        log("m")
        assert "tls_cert" in wait_for(problems)
        log.close()


def test_plain_and_encrypted_do_not_meet(authority: Authority, problems: Problems) -> None:
    """Each side's mistake is told: TLS to a plain port, plain to a TLS port."""
    with AckServer() as server:
        log = connect(server, problems, tls=True)
        log("m")
        assert "TLS" in wait_for(problems)
        log.close()
    problems.clear()
    with AckServer(tls=authority.context()) as server:
        log = connect(server, problems)
        log("m")
        deadline = time.monotonic() + 60
        while not log.server.last_error:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert not log.flush(0)
        log.close()

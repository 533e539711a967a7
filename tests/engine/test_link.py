"""Connections to an engine: encrypted, with a login by key, and to whichever server is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from logd.engine.address import parse
from logd.engine.link import EngineLink
from logd.outputs.base import OutputUnavailable, OutputUnusable
from tests.engine.engines import Engine, NatsServer, cluster_engine, single_engine
from tests.waiting import wait_for


def link_to(url: str) -> EngineLink:
    """A connection to what `Engine.output` calls so, not opened."""
    return EngineLink(parse(url.removeprefix("nats:"), reads=False), "always")


@pytest.fixture
def authority() -> trustme.CA:
    """Who makes certificates."""
    return trustme.CA()


def certified(authority: trustme.CA, folder: Path) -> str:
    """The configuration of a server with a certificate; makes its files."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "cert.pem").write_bytes(
        b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    )
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return f"tls {{ cert_file: '{folder}/cert.pem', key_file: '{folder}/key.pem' }}"


def test_an_encrypted_connection(authority: trustme.CA, tmp_path: Path) -> None:
    """The server's certificate is checked with the authority that is named."""
    with single_engine(tmp_path, more=certified(authority, tmp_path)) as engine:
        link = link_to(engine.output(tls_ca=tmp_path / "ca.pem"))
        try:
            link.open()
            assert link.problem == ""
        finally:
            link.close()


def test_a_certificate_of_somebody_else(authority: trustme.CA, tmp_path: Path) -> None:
    """One that the authority did not make is not accepted, and it is said."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with single_engine(tmp_path, more=certified(authority, tmp_path)) as engine:
        link = link_to(engine.output(tls_ca=tmp_path / "other.pem"))
        try:
            with pytest.raises(OutputUnavailable, match="certificate"):
                link.open()
        finally:
            link.close()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """Certificates that can't be read are named."""
    with single_engine(tmp_path) as engine:
        link = link_to(engine.output(tls_ca="/no/such.pem"))
        try:
            with pytest.raises(OutputUnusable, match=r"/no/such\.pem"):
                link.open()
        finally:
            link.close()


def test_a_login_by_token(tmp_path: Path) -> None:
    """A URL with a user and no password has a token."""
    with single_engine(tmp_path, more="authorization { token: t0ken }") as engine:
        link = link_to(engine.output().replace("nats://", "nats://t0ken@", 1))
        try:
            link.open()
            assert link.problem == ""
        finally:
            link.close()


def test_another_server_takes_over(tmp_path: Path) -> None:
    """When its server dies, the connection is to one of the others."""
    with cluster_engine(tmp_path) as engine:
        link = link_to(engine.output())
        try:
            link.open()
            before = link.server
            _server_of(engine, before).kill()
            wait_for(lambda: link.server not in ("", before), "another server")
            wait_for(lambda: link.problem == "", "a connection")
        finally:
            link.close()


def _server_of(engine: Engine, name: str) -> NatsServer:
    return next(one for one in engine.servers if name.endswith(f":{one.port}"))


def test_nobody_is_there(tmp_path: Path) -> None:
    """It says which server does not answer, at once, and goes on trying."""
    with single_engine(tmp_path) as engine:
        engine.servers[0].kill()
        link = link_to(engine.output())
        try:
            with pytest.raises(OutputUnavailable, match=f"127.0.0.1:{engine.servers[0].port}"):
                link.open()
            engine.servers[0].start()
            wait_for(lambda: link.problem == "", "a connection")
        finally:
            link.close()

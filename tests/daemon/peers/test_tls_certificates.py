"""Which clients' certificates a context lets in: handshakes in memory, without a daemon."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from logd.daemon.peers.tls import server_context
from logd.errors import StartupError

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Authority:
    """Signs certificates and takes them back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.file = str(folder / "ca.pem")
        certificate = (
            self._builder(self.key, self.name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        Path(self.file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
        )

    def issue(self, name: str, *purposes: ObjectIdentifier) -> tuple[str, str, int]:
        """Paths of a certificate and its key, and the certificate's number."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(paths[0]), str(paths[1]), certificate.serial_number

    def revoke(self, *numbers: int, until: datetime.datetime = NOW + DAY) -> str:
        """The path of a list of revoked certificates."""
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.name, last_update=NOW - 2 * DAY, next_update=until
        )
        for number in numbers:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(number, NOW - DAY).build()
            )
        path = self.folder / "revoked.pem"
        crl = builder.sign(self.key, hashes.SHA256())
        path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        return str(path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that signs all certificates here."""
    return Authority(tmp_path)


def context(authority: Authority, crl: str | None = None) -> ssl.SSLContext:
    """What a daemon that wants certificates listens with."""
    cert, key, _ = authority.issue("server", SERVER)
    return server_context(
        cert=cert,
        key=key,
        client_ca=authority.file,
        client_certs="required",
        min_version="1.2",
        crl=crl,
    )


def shake_hands(server: ssl.SSLContext, cert: str, key: str) -> None:
    """Connect with a certificate; raises what the server has against it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.load_cert_chain(cert, key)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)]
    left = set(ends)
    while left:
        for end in ends:
            try:
                end.do_handshake()
                left.discard(end)
            except ssl.SSLWantReadError:
                pass


def test_certificates_for_clients_are_let_in(authority: Authority) -> None:
    """A certificate of the authority whose purpose is that of a client opens a connection."""
    shake_hands(context(authority), *authority.issue("good", CLIENT)[:2])
    shake_hands(context(authority), *authority.issue("both", CLIENT, SERVER)[:2])


def test_a_servers_certificate_is_none_of_a_client(authority: Authority) -> None:
    """Who runs a web server with a certificate of the same authority may not log with it."""
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake_hands(context(authority), *authority.issue("web", SERVER)[:2])


def test_revoked_certificates_are_refused(authority: Authority) -> None:
    """A certificate that was taken back is refused, others of the authority are not."""
    *lost, number = authority.issue("lost", CLIENT)
    server = context(authority, authority.revoke(number))
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        shake_hands(server, *lost)
    shake_hands(server, *authority.issue("good", CLIENT)[:2])


def test_a_list_that_has_expired_lets_nobody_in(authority: Authority) -> None:
    """Who keeps the daemon from getting a newer list gains nothing by it."""
    server = context(authority, authority.revoke(until=NOW - DAY))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(server, *authority.issue("good", CLIENT)[:2])


def test_a_file_without_a_list_ends_the_start(authority: Authority) -> None:
    """A wrong file is told; it would let everyone in, or nobody."""
    for path in (authority.file, str(authority.folder / "absent.pem")):
        with pytest.raises(StartupError, match="tls_crl"):
            context(authority, path)

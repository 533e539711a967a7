"""What the client demands and shows in TLS, and what went wrong there, in words for people."""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple

__all__ = ["TlsSettings", "create_tls_context", "reason_of", "tls_reason_of"]


class TlsSettings(NamedTuple):
    """What the client demands and shows in TLS.

    Attributes:
        ca: file with the certificates of authorities to trust; None for the system's.
        cert: file with the client's own certificate, for servers that want one.
        key: file with its key; None if `cert` contains it.
        verify: False accepts any server: for tests, anyone in between can read and change.
        server_name: name that the server's certificate must have; None for the host's.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True
    server_name: str | None = None


def create_tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """A context of TLS 1.2 and later.

    Raises:
        ValueError: a file can't be read or has no certificate or key; the text names it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.key is not None and settings.cert is None:
        raise ValueError(f"tls_key {settings.key!r} without tls_cert")
    try:
        if settings.ca is not None:
            context.load_verify_locations(settings.ca)
        elif settings.verify:
            context.load_default_certs()
    except OSError as exc:
        raise ValueError(f"tls_ca {settings.ca!r}: {reason_of(exc)}") from exc
    if settings.cert is not None:
        try:
            context.load_cert_chain(settings.cert, settings.key)
        except OSError as exc:
            raise ValueError(
                f"tls_cert {settings.cert!r}, tls_key {settings.key!r}: {reason_of(exc)}"
            ) from exc
    return context


def reason_of(exc: OSError) -> str:
    """Why the system refused, in words."""
    if isinstance(exc, (TimeoutError, socket.timeout)):
        return "no answer in time"
    return exc.strerror or str(exc) or type(exc).__name__


_TLS_REASONS = {
    "WRONG_VERSION_NUMBER": "the server does not speak TLS there",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS there",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a client certificate: "
    "set tls_cert and tls_key",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server refused the handshake; it may want "
    "a client certificate (tls_cert, tls_key)",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not know the authority of the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client certificate has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server does not accept the client certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the server does not accept the client certificate",
}


def tls_reason_of(exc: OSError) -> str:
    """The same, if it may be TLS that failed."""
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return _TLS_REASONS.get(exc.reason, exc.reason.replace("_", " ").lower())
    return reason_of(exc)

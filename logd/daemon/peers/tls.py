"""The server side of TLS: contexts made from settings; certificates can be loaded again."""

from __future__ import annotations

import ssl
from typing import Literal

from logd.errors import StartupError

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def server_context(
    *,
    cert: str,
    key: str,
    client_ca: str | None,
    client_certs: Literal["none", "optional", "required"],
    min_version: Literal["1.2", "1.3"],
    crl: str | None = None,
) -> ssl.SSLContext:
    """A context for listening sockets.

    Certificates of clients must be for clients: OpenSSL refuses one whose extended key usage has
    only other purposes, so that no web server of the same authority can log.

    Raises:
        StartupError: a file can't be read, or certificate and key don't fit; names the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[min_version]
    context.verify_mode = {
        "none": ssl.CERT_NONE,
        "optional": ssl.CERT_OPTIONAL,
        "required": ssl.CERT_REQUIRED,
    }[client_certs]
    load_certificate(context, cert, key)
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError) as exc:
            raise StartupError(f"tls_client_ca {client_ca}: {tls_reason(exc)}") from exc
    if crl is not None:
        try:
            context.load_verify_locations(crl)
        except (OSError, ssl.SSLError) as exc:
            raise StartupError(f"tls_crl {crl}: {tls_reason(exc)}") from exc
        if not context.cert_store_stats()["crl"]:
            raise StartupError(f"tls_crl {crl}: no list of revoked certificates in it")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def load_certificate(context: ssl.SSLContext, cert: str, key: str) -> None:
    """Load certificate and key, also again while the context is in use: new handshakes use them.

    Raises:
        StartupError: as above.
    """
    try:
        # A probe first: a failed load could leave the context with half of the new pair.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as exc:
        raise StartupError(f"tls_cert {cert}, tls_key {key}: {tls_reason(exc)}") from exc


def tls_reason(exc: OSError) -> str:
    """What OpenSSL or the system say is wrong, for people."""
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return exc.reason.replace("_", " ").lower()
    return exc.strerror or str(exc) or type(exc).__name__

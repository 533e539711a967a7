"""Connections to a logd server: TCP, TLS over it, or a Unix socket.

`ServerAddress` says where the server may be and how to speak to it; `open_connection` tries one
place and gives a connected, non-blocking socket. Errors name the place and say what to change.
"""

from __future__ import annotations

# Looking up a host imports this codec, in the sender's thread; a fork in the midst of that import
# would leave the child with half a module and no way to ever connect.
import encodings.idna  # noqa: F401
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "ConnectionFailed",
    "Place",
    "ServerAddress",
    "TlsSettings",
    "create_tls_context",
    "open_connection",
    "wait_ready",
]


class ConnectionFailed(Exception):
    """A place can't be connected to; the text names it and the reason.

    Attributes:
        is_refusal: True where waiting will hardly help: certificates, settings.
        is_odd: True where a person should hear of it, as it may be a wrong setting.
    """

    def __init__(self, text: str, *, is_refusal: bool = False, is_odd: bool = False) -> None:
        super().__init__(text)
        self.is_refusal = is_refusal
        self.is_odd = is_refusal or is_odd


class TlsSettings(NamedTuple):
    """What the client demands and shows in TLS.

    Attributes:
        ca: file with the certificates of authorities to trust; None for the system's.
        cert: file with the client's own certificate, for servers that want one.
        key: file with its key; None where `cert` contains it.
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
        raise ValueError(f"tls_ca {settings.ca!r}: {_reason(exc)}") from exc
    if settings.cert is not None:
        try:
            context.load_cert_chain(settings.cert, settings.key)
        except OSError as exc:
            raise ValueError(
                f"tls_cert {settings.cert!r}, tls_key {settings.key!r}: {_reason(exc)}"
            ) from exc
    return context


class Place(NamedTuple):
    """One place where a server may listen: (host, port) or the path of a Unix socket."""

    address: tuple[str, int] | str

    def __str__(self) -> str:
        if isinstance(self.address, str):
            return self.address
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class ServerAddress:
    """Where the server may be: several ports of a host in turn, or one Unix socket.

    Args:
        host: name or IP address.
        ports: the first one with a server is used.
        path: path of a Unix socket; then host and ports are not used.
        tls: None for a connection that is not encrypted.

    Raises:
        ValueError: no port at all, a port out of range, or a wrong TLS setting.
        TypeError: `ports` is not a sequence of numbers.
    """

    def __init__(
        self,
        host: str = "localhost",
        ports: Sequence[int] = (9801,),
        path: str | Path | None = None,
        tls: TlsSettings | None = None,
    ) -> None:
        self.path = None if path is None else str(path)
        self._tls = tls
        self._context = None if tls is None else create_tls_context(tls)
        if isinstance(ports, (str, bytes)) or not all(isinstance(port, int) for port in ports):
            raise TypeError(f"ports {ports!r}: expected a sequence of numbers")
        wrong = [port for port in ports if not 0 < port < 65536]
        if wrong or not ports:
            raise ValueError(f"ports {ports!r}: expected at least one, from 1 to 65535")
        self._host = host
        self._ports = tuple(ports)

    def __str__(self) -> str:
        return " or ".join(str(place) for place in self.places())

    def places(self) -> Iterator[Place]:
        """The places to try, in order."""
        if self.path is not None:
            yield Place(self.path)
            return
        for port in self._ports:
            yield Place((self._host, port))

    def connect(self, place: Place, timeout_s: float) -> socket.socket:
        """A connected socket, after the TLS handshake where there is one; non-blocking.

        Raises:
            ConnectionFailed: nobody listens, no answer in time, or TLS failed.
        """
        deadline = time.monotonic() + timeout_s
        raw = _connect_raw(place, timeout_s)
        try:
            if self._context is not None:
                raw = self._start_tls(raw, place, max(0.001, deadline - time.monotonic()))
            raw.setblocking(False)
        except BaseException:
            raw.close()
            raise
        return raw

    def _start_tls(self, raw: socket.socket, place: Place, timeout_s: float) -> socket.socket:
        assert self._context is not None  # noqa: S101
        assert self._tls is not None  # noqa: S101
        raw.settimeout(timeout_s)
        name = self._tls.server_name or (self._host if self.path is None else "localhost")
        try:
            return self._context.wrap_socket(raw, server_hostname=name)
        except ssl.SSLCertVerificationError as exc:
            authority = self._tls.ca or "the system's authorities"
            raise ConnectionFailed(
                f"TLS to {place}: the server's certificate is not accepted: "
                f"{exc.verify_message} (expected one for {name!r} by {authority})",
                is_refusal=True,
            ) from exc
        except OSError as exc:
            ended = isinstance(exc, (ssl.SSLEOFError, ConnectionResetError))
            reason = (
                "the server ended the handshake; does it speak TLS there?"
                if ended
                else _tls_reason(exc)
            )
            raise ConnectionFailed(
                f"TLS to {place}: {reason}",
                is_refusal=isinstance(exc, ssl.SSLError) and not ended,
                is_odd=ended,
            ) from exc

    def why_no_answer(self, place: Place) -> ConnectionFailed:
        """The server closed the connection before it answered: what that may mean."""
        if self._tls is None:
            return ConnectionFailed(f"{place}: closed without an answer")
        # With TLS 1.3 the server's complaint comes after the handshake and may get lost.
        if self._tls.cert is None:
            guess = "if it wants a client certificate, set tls_cert"
        else:
            guess = f"it may not accept the client certificate {self._tls.cert}"
        return ConnectionFailed(f"{place}: closed without an answer; {guess}", is_odd=True)


def open_connection(
    address: ServerAddress, place: Place, opening: bytes, timeout_s: float
) -> tuple[socket.socket, bytes]:
    """Connect, send `opening`, and wait for the first bytes of the answer.

    Returns:
        The non-blocking socket and what the server sent so far, at least 12 bytes.

    Raises:
        ConnectionFailed: see `ServerAddress.connect`; or no answer, as when something else than a
            logd server listens there.
    """
    deadline = time.monotonic() + timeout_s
    connected = address.connect(place, timeout_s)
    try:
        # The opening is short and the first thing sent: it fits the socket's buffer whole.
        connected.send(opening)
        answer = b""
        while len(answer) < 12:
            left = deadline - time.monotonic()
            if left <= 0 or not wait_ready(connected, left):
                raise ConnectionFailed(f"{place}: no answer within {timeout_s:g} s")
            try:
                data = connected.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            if not data:
                raise address.why_no_answer(place)
            answer += data
            if answer[:2] == b"\x15\x03":
                raise ConnectionFailed(
                    f"{place}: the server speaks TLS there, set tls", is_refusal=True
                )
    except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError) as exc:
        connected.close()
        raise address.why_no_answer(place) from exc
    except OSError as exc:
        connected.close()
        raise ConnectionFailed(
            f"{place}: {_tls_reason(exc)}", is_refusal=isinstance(exc, ssl.SSLError)
        ) from exc
    except BaseException:
        connected.close()
        raise
    return connected, answer


def wait_ready(connected: socket.socket, timeout_s: float) -> bool:
    """Wait until there is something to read, the end included; False when the time is over."""
    if isinstance(connected, ssl.SSLSocket) and connected.pending():
        return True
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(max(1, int(timeout_s * 1000))))


def _connect_raw(place: Place, timeout_s: float) -> socket.socket:
    try:
        if isinstance(place.address, str):
            connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connected.settimeout(timeout_s)
                connected.connect(place.address)
            except BaseException:
                connected.close()
                raise
            return connected
        connected = socket.create_connection(place.address, timeout=timeout_s)
    except OSError as exc:
        raise ConnectionFailed(f"{place}: {_reason(exc)}") from exc
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return connected


def _reason(exc: OSError) -> str:
    if isinstance(exc, socket.timeout):
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


def _tls_reason(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return _TLS_REASONS.get(exc.reason, exc.reason.replace("_", " ").lower())
    return _reason(exc)

"""Connections to a logd server: TCP, TLS over it, or a Unix socket.

`ServerAddress` says where the server may be and how to speak to it. Its `connecting` tries one
place in steps that never wait; `open_connection` takes these steps and waits in between. Errors
name the place and say what to change.
"""

from __future__ import annotations

# Looking up a host imports this codec, in the sender's thread; a fork in the midst of that import
# would leave the child with half a module and no way to ever connect.
import encodings.idna  # noqa: F401
import errno
import os
import socket
import ssl
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from socket import AF_UNIX, SO_ERROR, SOCK_STREAM, SOL_SOCKET
from socket import socket as Socket

from logd_client.natives import READABLE, WRITABLE, monotonic, wait_ready
from logd_client.places import Moving, Place, Places, SockAddress
from logd_client.tls import TlsSettings, create_tls_context, reason_of, tls_reason_of

__all__ = [
    "ConnectionFailed",
    "Place",
    "ServerAddress",
    "SockAddress",
    "Steps",
    "open_connection",
]

Steps = Generator[tuple[int, int], None, Socket]
"""Yields the descriptor and the events to wait for before the next step, and returns at last the
connected, non-blocking socket."""

_ANSWER_BYTES = 12
_KEEP_ALIVE = bytes(4)
_IN_PROGRESS = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)


class ConnectionFailed(Exception):
    """A place can't be connected to; the text names it and the reason.

    Attributes:
        is_refusal: True if waiting will hardly help: certificates, settings.
        is_odd: True if a person should hear of it, as it may be a wrong setting.
    """

    def __init__(self, text: str, *, is_refusal: bool = False, is_odd: bool = False) -> None:
        super().__init__(text)
        self.is_refusal = is_refusal
        self.is_odd = is_refusal or is_odd


class ServerAddress:
    """Where the server may be: several ports of a host, several servers, or one Unix socket.

    Args:
        host: name or IP address.
        ports: the first one with a server is used.
        path: path of a Unix socket; then host, ports and hosts are not used.
        tls: None for a connection that is not encrypted.
        hosts: servers that stand for each other, in place of `host`; see `places.py`.
        moving: when a session moves between several.

    Attributes:
        moving: the same.
        last_answered: the place at which a server answered last; None before the first time.
        has_shared_marks: whether that server said that others know what it stored.

    Raises:
        ValueError: no port at all, a port out of range, no host, or a wrong TLS setting.
        TypeError: `ports` is not a sequence of numbers.
    """

    def __init__(
        self,
        host: str = "localhost",
        ports: Sequence[int] = (9801,),
        path: str | Path | None = None,
        tls: TlsSettings | None = None,
        hosts: Sequence[str] = (),
        moving: Moving | None = None,
    ) -> None:
        self._tls = tls
        self._context = None if tls is None else create_tls_context(tls)
        self._places = Places(host, ports, path, hosts)
        self.moving = moving or Moving()
        self.last_answered: Place | None = None
        self.has_shared_marks = False

    def __str__(self) -> str:
        return " or ".join(str(place) for place in self.places())

    def places(self) -> Iterator[Place]:
        """The places to try, in order."""
        return iter(self._places.in_order())

    @property
    def has_several(self) -> bool:
        """Whether there is more than one place."""
        return self._places.has_several

    @property
    def are_servers(self) -> bool:
        """Whether each address of a host is a server of its own."""
        return self._places.are_servers

    def is_first(self, place: Place) -> bool:
        """Whether this is the place to go back to."""
        return self._places.is_first(place)

    def resolve(self, place: Place) -> list[tuple[int, SockAddress]]:
        """Families and socket addresses of a place; looks up the host's name, which may take long.

        Raises:
            OSError: there is no such host.
        """
        return self._places.look_up(place)

    def resolved(self, place: Place) -> list[tuple[int, SockAddress]]:
        """As `resolve`, but at once: [] if that would need a look-up."""
        return self._places.known(place)

    def is_here(self, place: Place) -> bool:
        """Whether it is on this machine, as far as is known without a look-up."""
        return self._places.is_here(place)

    def not_found(self, place: Place, exc: OSError) -> ConnectionFailed:
        """A host's name leads nowhere."""
        return ConnectionFailed(f"{place}: {reason_of(exc)}")

    @property
    def sure_place(self) -> Place | None:
        """The place to try if there is time for one only: the last one that answered."""
        if self.last_answered is not None:
            return self.last_answered
        places = list(self.places())
        return places[0] if len(places) == 1 else None

    def connecting(self, place: Place, opening: bytes) -> Steps:
        """Connect, start TLS if it is wanted, and send `opening`; see `Steps`.

        Args:
            place: where.
            opening: the first bytes to send.

        Raises:
            ConnectionFailed: nobody listens there, or TLS failed.
        """
        raw = yield from self._connecting_raw(place)
        try:
            if self._context is not None:
                raw = yield from self._starting_tls(raw, place)
            # It is short and the first thing sent: it fits the socket's buffer whole.
            raw.send(opening)
        except OSError as exc:
            raw.close()
            raise self.explained(exc, place) from exc
        except BaseException:
            raw.close()
            raise
        return raw

    def _connecting_raw(self, place: Place) -> Steps:
        try:
            failure = OSError("no address")
            for family, sockaddr in self.resolve(place):
                try:
                    return (yield from _connecting_to(family, sockaddr))
                except OSError as exc:
                    failure = exc
            raise failure
        except OSError as exc:
            raise ConnectionFailed(f"{place}: {reason_of(exc)}") from exc

    def _starting_tls(self, raw: Socket, place: Place) -> Steps:
        assert self._context is not None  # noqa: S101
        assert self._tls is not None  # noqa: S101
        host = "localhost" if isinstance(place.address, str) else place.address[0]
        name = self._tls.server_name or host
        wrapped = self._context.wrap_socket(
            raw, server_hostname=name, do_handshake_on_connect=False
        )
        try:
            while True:
                try:
                    wrapped.do_handshake()
                    return wrapped
                except ssl.SSLWantReadError:
                    yield wrapped.fileno(), READABLE
                except ssl.SSLWantWriteError:
                    yield wrapped.fileno(), WRITABLE
        except OSError as exc:
            wrapped.close()
            raise self._tls_failure(exc, place, name) from exc
        except BaseException:
            wrapped.close()
            raise

    def _tls_failure(self, exc: OSError, place: Place, name: str) -> ConnectionFailed:
        if isinstance(exc, ssl.SSLCertVerificationError):
            authority = (self._tls and self._tls.ca) or "the system's authorities"
            return ConnectionFailed(
                f"TLS to {place}: the server's certificate is not accepted: "
                f"{exc.verify_message} (expected one for {name!r} by {authority})",
                is_refusal=True,
            )
        ended = isinstance(exc, (ssl.SSLEOFError, ConnectionResetError))
        reason = tls_reason_of(exc)
        if ended:
            reason = "the server ended the handshake; does it speak TLS there?"
        return ConnectionFailed(
            f"TLS to {place}: {reason}",
            is_refusal=isinstance(exc, ssl.SSLError) and not ended,
            is_odd=ended,
        )

    def check_answer(self, data: bytes, place: Place) -> None:
        """See that the first bytes of the server's answer are none of another protocol.

        Raises:
            ConnectionFailed: the server wants TLS.
        """
        if data[:2] == b"\x15\x03":
            raise ConnectionFailed(
                f"{place}: the server expects TLS there: set tls", is_refusal=True
            )

    def explained(self, exc: BaseException, place: Place) -> ConnectionFailed:
        """What it means that a connection broke before the server answered."""
        if isinstance(exc, ConnectionFailed):
            return exc
        if isinstance(exc, (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)):
            return self.why_no_answer(place)
        if isinstance(exc, OSError):
            is_refusal = isinstance(exc, ssl.SSLError)
            return ConnectionFailed(f"{place}: {tls_reason_of(exc)}", is_refusal=is_refusal)
        return ConnectionFailed(f"{place}: {exc}")

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
) -> tuple[Socket, bytes]:
    """Connect, send `opening`, and wait for the first bytes of the answer.

    Returns:
        The non-blocking socket and what the server sent so far, a whole answer at least.

    Raises:
        ConnectionFailed: see `ServerAddress.connecting`; or no answer, as when something else than
            a logd server listens there.
    """
    deadline = monotonic() + timeout_s
    connected: Socket | None = None
    try:
        steps = address.connecting(place, opening)
        while connected is None:
            try:
                _wait(next(steps), deadline)
            except StopIteration as done:
                connected = done.value
        answer = b""
        while len(answer) < _answer_bytes(answer):
            try:
                data = connected.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                _wait((connected.fileno(), READABLE), deadline)
                continue
            if not data and len(answer) >= _ANSWER_BYTES:
                break
            if not data:
                raise address.why_no_answer(place)
            answer += data
            address.check_answer(answer, place)
    except BaseException as exc:
        if connected is not None:
            connected.close()
        if isinstance(exc, TimeoutError):
            raise ConnectionFailed(f"{place}: no answer within {timeout_s:g} s") from exc
        if isinstance(exc, OSError):
            raise address.explained(exc, place) from exc
        raise
    return connected, answer


def _answer_bytes(answer: bytes) -> int:
    """How long the first answer is; a keep-alive may go before it."""
    return _ANSWER_BYTES + (len(_KEEP_ALIVE) if answer.startswith(_KEEP_ALIVE) else 0)


def _wait(wanted: tuple[int, int], deadline: float) -> None:
    left_s = deadline - monotonic()
    if left_s <= 0 or not wait_ready([wanted], left_s):
        raise TimeoutError


def _connecting_to(family: int, sockaddr: SockAddress) -> Steps:
    """Connect to one address; raises OSError."""
    raw = Socket(family, SOCK_STREAM)
    try:
        raw.setblocking(False)
        if family != AF_UNIX:
            _set_options(raw)
        code = raw.connect_ex(sockaddr)
        if code in _IN_PROGRESS and family != AF_UNIX:
            yield raw.fileno(), WRITABLE
            code = raw.getsockopt(SOL_SOCKET, SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        raw.close()
        raise
    return raw


def _set_options(raw: Socket) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

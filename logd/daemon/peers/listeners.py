"""Listening sockets: TCP on the first free port, TLS beside it, Unix, or inherited from systemd.

Only sockets are made here; `acceptor.py` takes connections off them.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from logd.errors import StartupError

BACKLOG = 4096
"""Connections the kernel keeps until they are accepted; it lowers this to `somaxconn` by itself."""

FIRST_INHERITED_FD = 3
"""Where systemd puts the first socket it hands over, see sd_listen_fds(3)."""


@dataclass(frozen=True)
class Listener:
    """A socket that listens.

    Attributes:
        sock: non-blocking; the owner of the listener closes it.
        is_tls: connections begin with a TLS handshake.
        path: the Unix socket's path, None for TCP.
        is_inherited: systemd keeps it open when this process goes.
    """

    sock: socket.socket
    is_tls: bool = False
    path: str | None = None
    is_inherited: bool = False

    @property
    def address(self) -> str:
        """For people: `127.0.0.1:9801`, `[::1]:9801`, `unix:/run/logd.sock`."""
        kind = " (TLS)" if self.is_tls else ""
        if self.sock.family == socket.AF_UNIX:
            return f"unix:{self.sock.getsockname()}"
        host, port = self.sock.getsockname()[:2]
        return f"[{host}]:{port}{kind}" if ":" in host else f"{host}:{port}{kind}"

    def close(self) -> None:
        """Stop listening; a Unix socket's file is removed unless systemd owns it."""
        self.sock.close()
        if self.path is not None and not self.is_inherited:
            Path(self.path).unlink(missing_ok=True)


def listen_tcp(
    hosts: Sequence[str], ports: Sequence[int], *, is_tls: bool = False
) -> list[Listener]:
    """Listen on every address of `hosts`, on the first of `ports` that is free on all of them.

    Raises:
        StartupError: a host has no address, or no port is free.
    """
    addresses = _addresses(hosts)
    refusals: list[str] = []
    is_taken = False
    for port in ports:
        listeners: list[Listener] = []
        for family, host in addresses:
            try:
                sock = _bound(family, host, port)
            except OSError as exc:
                refusals.append(f"{host}:{port}: {_reason(exc)}")
                is_taken = is_taken or exc.errno == errno.EADDRINUSE
                for listener in listeners:
                    listener.close()
                break
            # Port 0 is any free one; all hosts get the same.
            port = sock.getsockname()[1]
            listeners.append(Listener(sock, is_tls=is_tls))
        else:
            return listeners
    advice = " (is another logd running? choose another port)" if is_taken else ""
    raise StartupError(f"can't listen on {'; '.join(refusals)}{advice}")


def listen_unix(path: str, *, owner: str | None, group: str | None, mode: int) -> Listener:
    """Listen on a Unix socket at `path`, replacing one that nobody serves any more.

    Raises:
        StartupError: another process serves it, `path` is something else, or is not allowed.
    """
    try:
        _remove_dead_socket(path)
        uid = pwd.getpwnam(owner).pw_uid if owner is not None else -1
        gid = grp.getgrnam(group).gr_gid if group is not None else -1
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Closed to all until owner and mode are set: nobody slips in between.
            old_umask = os.umask(0o777)
            try:
                sock.bind(path)
            finally:
                os.umask(old_umask)
            _give_to(path, uid, gid, mode)
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
    except KeyError as exc:
        raise StartupError(f"socket {path}: no such user or group: {exc.args[0]}") from exc
    except OSError as exc:
        raise StartupError(f"can't listen on socket {path}: {_reason(exc)}") from exc
    sock.setblocking(False)
    return Listener(sock, path=path)


def _give_to(path: str, uid: int, gid: int, mode: int) -> None:
    """Set owner and mode of the socket at `path`, and of nothing that took its place meanwhile."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOTSOCK, "exchanged for something else")
        # The system takes no descriptor of this kind for these calls, but its name.
        same = f"/proc/self/fd/{descriptor}"
        if (uid, gid) != (-1, -1):
            os.chown(same, uid, gid)
        Path(same).chmod(mode)
    finally:
        os.close(descriptor)


def inherited(environ: Mapping[str, str] = os.environ) -> list[Listener]:
    """The sockets that systemd hands over (socket activation); empty if it hands over none.

    A socket unit with `FileDescriptorName=tls` serves TLS.

    Raises:
        StartupError: a descriptor handed over is not a listening stream socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    listeners = []
    for number in range(count):
        descriptor = FIRST_INHERITED_FD + number
        os.set_inheritable(descriptor, False)
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise StartupError(f"descriptor {descriptor} from systemd is not a socket")
        sock = socket.socket(fileno=descriptor)
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            raise StartupError(
                f"descriptor {descriptor} from systemd is not a listening stream socket"
            )
        sock.setblocking(False)
        path = sock.getsockname() if sock.family == socket.AF_UNIX else None
        name = names[number] if number < len(names) else ""
        listeners.append(Listener(sock, is_tls=name == "tls", path=path, is_inherited=True))
    return listeners


def _addresses(hosts: Sequence[str]) -> list[tuple[int, str]]:
    """Family and numeric address of each host, each once.

    "::" stands for all addresses, those of IPv4 too, unless one of them is named: a socket of its
    own takes these, so that peers have plain addresses whatever the system's `bindv6only` says.
    """
    found: dict[tuple[int, str], None] = {}
    for host in hosts:
        try:
            infos = socket.getaddrinfo(
                host or None, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except OSError as exc:
            raise StartupError(f"host {host!r}: {exc.strerror or exc}") from exc
        for family, *_, address in infos:
            if family == socket.AF_INET or _has_ipv6(str(address[0])):
                found[family, str(address[0])] = None
        if host == "localhost" and _has_ipv6("::1"):
            # Both, whatever the system's file of hosts says (RFC 6761): apps may try either.
            found[socket.AF_INET6, "::1"] = None
    if not found:
        raise StartupError(f"host {', '.join(hosts)}: no usable address")
    has_ipv4 = any(family == socket.AF_INET for family, _ in found)
    if (socket.AF_INET6, "::") in found and not has_ipv4:
        found[socket.AF_INET, "0.0.0.0"] = None
    return list(found)


def _has_ipv6(host: str) -> bool:
    """Whether this machine can bind `host`; many resolve `localhost` to ::1 without having it."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind((host, 0))
    except OSError as exc:
        if exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return False
        raise StartupError(f"host {host}: {_reason(exc)}") from exc
    return True


def _bound(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OverflowError as exc:
        sock.close()
        raise StartupError(f"port {port}: must be 0 to 65535") from exc
    except OSError:
        sock.close()
        raise
    return sock


def _remove_dead_socket(path: str) -> None:
    """Remove a Unix socket's file that no process listens on."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise StartupError(f"can't listen on socket {path}: something else is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        else:
            raise StartupError(f"can't listen on socket {path}: another process serves it")


def _reason(exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return "already in use"
    return exc.strerror or str(exc)

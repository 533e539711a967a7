"""Where servers may be: places by name, their addresses, and the order in which they are tried.

Servers that stand for each other (`hosts`) are tried in an order that each process shuffles for
itself, so that the clients spread over them. A name stands for all its addresses, and each of
these is a place of its own.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from socket import AF_INET, AF_UNIX, SOCK_STREAM, getaddrinfo, inet_pton
from typing import NamedTuple, Union

__all__ = ["FAILBACK_S", "Moving", "Place", "Places", "SockAddress", "split_host"]

FAILBACK_S = 300.0

SockAddress = Union[str, tuple[str, int], tuple[str, int, int, int], tuple[int, bytes]]
FoundAddress = tuple[int, SockAddress]
"""An address family, and the address for `socket.connect`."""


class Place(NamedTuple):
    """One place where a server may listen.

    Attributes:
        address: (host, port) or the path of a Unix socket.
        at: the one address of the host that is meant; None for any.
    """

    address: tuple[str, int] | str
    at: FoundAddress | None = None

    def __str__(self) -> str:
        if isinstance(self.address, str):
            return self.address
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Moving(NamedTuple):
    """When a session moves from server to server; see `LogServerProxy` for the meaning."""

    failover: bool | None = None
    failback_s: float = FAILBACK_S
    silence_s: float | None = None


def split_host(text: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port`, `[ipv6]:port` or `ipv6`; None without a port.

    Raises:
        ValueError: it is none of these; the text says what is wrong.
    """
    host, colon, port = text, "", ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise ValueError("expected [address]:port")
    elif text.count(":") == 1:
        host, colon, port = text.partition(":")
    if not host or any(char in host for char in "/@, \0"):
        raise ValueError("expected a name or address")
    if not colon:
        return host, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("expected a port from 1 to 65535")
    return host, int(port)


class Places:
    """The places of a server, or of servers that stand for each other.

    Args:
        host: name or address of one server; not used with `hosts`.
        ports: of that server, and of those in `hosts` that name none; tried in this order.
        path: path of a Unix socket; then nothing else is used.
        hosts: servers that stand for each other, as `split_host` takes them.

    Raises:
        ValueError: no port at all, a port out of range, or a host that is none.
        TypeError: `ports` is not a sequence of numbers.

    Attributes:
        are_servers: whether each address is a server of its own, in `hosts`; the addresses of
            `host` are all the same one.
    """

    def __init__(
        self,
        host: str = "localhost",
        ports: Sequence[int] = (9801,),
        path: str | Path | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        if isinstance(ports, (str, bytes)) or not all(isinstance(port, int) for port in ports):
            raise TypeError(f"ports {ports!r}: expected a sequence of numbers")
        wrong = [port for port in ports if not 0 < port < 65536]
        if wrong or not ports:
            raise ValueError(f"ports {ports!r}: expected at least one, from 1 to 65535")
        self._named: list[Place] = []
        if path is not None:
            self._named.append(Place(str(path)))
        else:
            for name, port in map(split_host, hosts) if hosts else [(host, None)]:
                self._named += [Place((name, p)) for p in ([port] if port else ports)]
        self.are_servers = bool(hosts) and path is None
        self._shuffled_by = 0
        self._random = random.Random()  # noqa: S311 - spreads load
        self._found: dict[Place, list[FoundAddress]] = {}

    @property
    def has_several(self) -> bool:
        """True if there is another place to go to, as far as is known without a look-up."""
        return len(self._named) > 1 or (
            self.are_servers and any(map(_is_many, self._found.values()))
        )

    def in_order(self) -> list[Place]:
        """The places to try, in order, the hosts not looked up."""
        if self.are_servers and self._shuffled_by != os.getpid():
            # A child process, too: else all workers of an app would go to the same server.
            self._shuffled_by = os.getpid()
            self._random.seed(os.urandom(16))
            self._random.shuffle(self._named)
            self._found.clear()
        return self._named

    def look_up(self, place: Place) -> list[FoundAddress]:
        """Families and addresses of a place; looks up the host's name, which may take long.

        Raises:
            OSError: there is no such host.
        """
        if place.at is not None:
            return [place.at]
        if isinstance(place.address, str):
            return [(AF_UNIX, place.address)]
        host, port = place.address
        found: list[FoundAddress] = []
        for family, _, _, _, sockaddr in getaddrinfo(host, port, 0, SOCK_STREAM):
            if (int(family), sockaddr) not in found:
                found.append((int(family), sockaddr))
        if self.are_servers:
            known = self._found.get(place, [])
            found = [one for one in known if one in found] + self._mixed(
                [one for one in found if one not in known]
            )
        self._found[place] = found
        return found

    def _mixed(self, found: list[FoundAddress]) -> list[FoundAddress]:
        """Shuffled, but the families stay in the order in which the system prefers them."""
        families = [family for family, _ in found]
        self._random.shuffle(found)
        return sorted(found, key=lambda one: families.index(one[0]))

    def known(self, place: Place) -> list[FoundAddress]:
        """As `look_up`, but at once: [] if that would need a look-up."""
        if place.at is not None or isinstance(place.address, str):
            return self.look_up(place)
        if place in self._found:
            return self._found[place]
        host, port = place.address
        # The default, which every first record of a program would have to look up.
        host = "127.0.0.1" if host == "localhost" else host
        try:
            inet_pton(AF_INET, host)
        except OSError:
            return []
        return [(AF_INET, (host, port))]

    def is_here(self, place: Place) -> bool:
        """Whether it is on this machine, as far as is known without a look-up."""
        known = self.known(place)
        return bool(known) and all(
            family == AF_UNIX or str(at[0]).startswith("127.") or at[0] == "::1"
            for family, at in known
        )

    def is_first(self, place: Place) -> bool:
        """Whether this is the one to go back to: all are, unless they are servers."""
        if not self.are_servers:
            return True
        first = self.in_order()[0]
        if place.address != first.address:
            return False
        found = self._found.get(first)
        return not found or place.at is None or place.at == found[0]


def _is_many(found: list[FoundAddress]) -> bool:
    return len(found) > 1

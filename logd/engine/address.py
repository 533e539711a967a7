"""Where an engine is, and what is kept there: the URL of `output` and `source`, taken apart. Pure.

    nats://[user:password@]n1[:port][,n2,n3][?stream=LOGD&partitions=16&...]

With `tls://` in the place of `nats://`, or with `tls_ca`, connections are encrypted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from logd.errors import nearest
from logd.settings.units import parse_size

PORT = 4222
MONITOR_PORT = 8222

MAX_PARTITIONS = 256

_OPTIONS = (
    "stream",
    "partitions",
    "replicas",
    "max_bytes",
    "group",
    "monitor",
    "creds",
    "tls_ca",
    "tls_cert",
    "tls_key",
)


class WrongAddress(Exception):
    """The URL can't be used; the text says why."""


@dataclass(frozen=True, kw_only=True)
class EngineAddress:
    """An engine, as one daemon uses it.

    Attributes:
        servers: "host:port" of each.
        user, password: to log in with; a token is a user without a password. None without.
        stream: what the names of streams begin with.
        partitions: the numbers of the partitions: all there are, or those that a store reads.
        replicas: how many servers keep each record, for streams that are made.
        max_bytes: what a stream may hold, for streams that are made.
        group: the name of the stores that read together; each group gets every record.
        monitors: URLs of the servers' monitoring.
        creds: file with what to log in with, see `credentials.py`.
        tls: whether connections are encrypted.
        tls_ca, tls_cert, tls_key: files; None for what the system trusts, and no certificate.
    """

    servers: Sequence[str]
    user: str | None = None
    password: str | None = None
    stream: str = "LOGD"
    partitions: Sequence[int]
    replicas: int = 3
    max_bytes: int = 8 << 30
    group: str = "store"
    monitors: Sequence[str] = ()
    creds: str | None = None
    tls: bool = False
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @property
    def shown(self) -> str:
        """For people; without a password."""
        return f"{self.stream} on {','.join(self.servers)}"

    def stream_of(self, partition: int) -> str:
        """The name of a partition's stream."""
        return f"{self.stream}_{partition}"

    def subject_of(self, partition: int) -> str:
        """The subject that its records are published under."""
        return f"{self.stream}.{partition}"


def parse(url: str, *, reads: bool) -> EngineAddress:
    """Take a URL apart.

    Args:
        url: as in the settings, behind "nats:".
        reads: whether `partitions` says which ones are read ("0-3,8") or how many there are.

    Raises:
        WrongAddress: it can't be used.
    """
    scheme, separator, rest = url.partition("://")
    if scheme not in ("nats", "tls") or not separator:
        raise WrongAddress('expected a URL such as "nats://n1,n2,n3?stream=LOGD"')
    hosts, _, query = rest.partition("?")
    login, _, hosts = hosts.rstrip("/").rpartition("@")
    user, colon, password = login.partition(":")
    options = _options(query)
    servers = [_server(host) for host in hosts.split(",")]
    default = "0-15" if reads else "16"
    text = options.get("partitions", default)
    has_files = any(name in options for name in ("tls_ca", "tls_cert"))
    if ("tls_cert" in options) != ("tls_key" in options):
        raise WrongAddress("tls_cert and tls_key go together")
    return EngineAddress(
        servers=servers,
        user=unquote(user) if login else None,
        password=unquote(password) if colon else None,
        stream=_name(options.get("stream", "LOGD"), "stream"),
        partitions=_chosen(text) if reads else range(_number(text, "partitions", MAX_PARTITIONS)),
        replicas=_number(options.get("replicas", "3"), "replicas", 5),
        max_bytes=_size(options.get("max_bytes", "8GiB")),
        group=_name(options.get("group", "store"), "group"),
        monitors=_monitors(options.get("monitor", str(MONITOR_PORT)), servers),
        creds=options.get("creds"),
        tls=scheme == "tls" or has_files,
        tls_ca=options.get("tls_ca"),
        tls_cert=options.get("tls_cert"),
        tls_key=options.get("tls_key"),
    )


def _options(query: str) -> Mapping[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            meant = nearest(name, _OPTIONS)
            hint = f" (did you mean {meant}?)" if meant else ""
            raise WrongAddress(f"unknown option {name}{hint}; there are: {', '.join(_OPTIONS)}")
        if name in options or not value:
            raise WrongAddress(f"option {name} is there twice, or empty")
        options[name] = value
    return options


def _server(text: str) -> str:
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?", text)
    if match is None or int(match[2] or PORT) > 65535:
        raise WrongAddress(f'{text!r} is no server: expected "host" or "host:port"')
    return f"{match[1]}:{match[2] or PORT}"


def _monitors(text: str, servers: Sequence[str]) -> Sequence[str]:
    if text.isdigit() and int(text) <= 65535:
        return [f"http://{server.rpartition(':')[0]}:{text}" for server in servers]
    urls = [url.rstrip("/") for url in text.split(",")]
    if not all(re.match(r"https?://[^/]+$", url) for url in urls):
        raise WrongAddress('monitor: expected a port, or URLs such as "http://n1:8222"')
    return urls


def _name(text: str, what: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text):
        raise WrongAddress(f"{what}: expected up to 32 letters, digits, _ and -, got {text!r}")
    return text


def _number(text: str, what: str, most: int) -> int:
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise WrongAddress(f"{what}: expected a number from 1 to {most}, got {text!r}")
    return int(text)


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as exc:
        raise WrongAddress(f"max_bytes: {exc}") from exc
    if size < 1 << 20:
        raise WrongAddress("max_bytes: expected at least 1MiB")
    return size


def _chosen(text: str) -> Sequence[int]:
    """Numbers of partitions, such as "0-3,8"."""
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < MAX_PARTITIONS:
            raise WrongAddress(f'partitions: expected numbers such as "0-7", got {text!r}')
        chosen.update(range(first, last + 1))
    return sorted(chosen)

"""The settings of a connection one by one: names, defaults, and what may stand in each.

A check takes the name under which a value was given and the value; it returns the value as it is
used. Every error names the setting; a token is shown in none.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logd_client.places import FAILBACK_S, split_host

if TYPE_CHECKING:
    from typing import Literal, TypedDict

    from logd_client.problems import RecordsLost

    class ClientSettings(TypedDict, total=False):
        """What `LogServerProxy` takes besides `host` and `ports`; it says what they mean."""

        port: int | Sequence[int]
        hosts: Sequence[str] | None
        failover: bool | None
        failback_s: float
        silence_s: float | None
        socket: str | Path | None
        token: str | None
        tls: bool
        tls_ca: str | Path | None
        tls_cert: str | Path | None
        tls_key: str | Path | None
        tls_verify: bool
        tls_server_name: str | None
        buffer_bytes: int
        when_full: Literal["block", "drop"]
        block_timeout_s: float
        exit_timeout_s: float
        spool: str | Path | None
        spool_bytes: int
        fallback: str | Path | logging.Handler | None
        on_loss: Callable[[RecordsLost], object] | None
        static: Mapping[str, object]
        context_items: bool
        environ: Mapping[str, str]


__all__ = [
    "CHECKS",
    "DEFAULTS",
    "DEFAULT_HOST",
    "DEFAULT_PORTS",
    "check_bool",
    "check_bytes",
    "check_callable",
    "check_hosts",
    "check_optional_bool",
    "check_optional_seconds",
    "check_ports",
    "check_seconds",
    "check_static",
    "refuse_unknown",
]


class _Default(str):
    """A text that is told from the same one given by the caller."""

    __slots__ = ()


DEFAULT_HOST: str = _Default("localhost")
DEFAULT_PORTS = (9801,)

DEFAULTS: dict[str, Any] = {
    "hosts": (),
    "failover": None,
    "failback_s": FAILBACK_S,
    "silence_s": None,
    "socket": None,
    "token": None,
    "tls": False,
    "tls_ca": None,
    "tls_cert": None,
    "tls_key": None,
    "tls_verify": True,
    "tls_server_name": None,
    "buffer_bytes": 64 << 20,
    "when_full": "block",
    "block_timeout_s": 5.0,
    "exit_timeout_s": 5.0,
    "spool": None,
    "spool_bytes": 256 << 20,
    "fallback": None,
    "on_loss": None,
    "static": {},
    "context_items": True,
}
"""Every setting but host and ports."""


def refuse_unknown(given: Mapping[str, Any], what: str) -> None:
    """Raise `TypeError` for the first name that is no setting; `what` says what it is."""
    for name in given:
        if name not in CHECKS:
            import difflib  # only for this text

            close = difflib.get_close_matches(name, CHECKS, 1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{what} {name!r}: there is no such setting{hint}")


# One check for each kind of setting: takes name and value, returns the value as it is used.


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} {value!r}: expected text")
    return value


def _host(name: str, value: Any) -> str:
    if not _text(name, value).strip():
        raise ValueError(f"{name} {value!r}: expected a name, an address or a URL")
    return str(value)


def _token(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} of type {type(value).__name__}: expected text or None")
    return value


def _optional_text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} {value!r}: expected text or None")
    return value


def _path(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} {value!r}: expected a path or None")
    path = os.fspath(value)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"{name} {value!r}: expected a path or None")
    return path


def check_bool(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} {value!r}: expected True or False")
    return value


def check_ports(name: str, value: Any) -> tuple[int, ...]:
    """One port, or several."""
    numbers = (value,) if isinstance(value, int) else value
    is_sequence = not isinstance(numbers, (str, bytes)) and isinstance(numbers, Sequence)
    if not is_sequence or not all(type(port) is int for port in numbers):
        raise TypeError(f"{name} {value!r}: expected a number or a sequence of numbers")
    if not numbers or not all(0 < port < 65536 for port in numbers):
        raise ValueError(f"{name} {value!r}: expected at least one, from 1 to 65535")
    return tuple(numbers)


def check_hosts(name: str, value: Any) -> tuple[str, ...]:
    """Servers that stand for each other; None for none."""
    if value is None:
        return ()
    is_sequence = not isinstance(value, (str, bytes)) and isinstance(value, Sequence)
    if not is_sequence or not all(isinstance(host, str) for host in value):
        raise TypeError(f"{name} {value!r}: expected a sequence of texts")
    for host in value:
        try:
            split_host(host)
        except ValueError as exc:
            raise ValueError(f"{name}: {host!r}: {exc}") from None
    if not value:
        raise ValueError(f"{name} {value!r}: expected at least one")
    return tuple(value)


def check_optional_bool(name: str, value: Any) -> bool | None:
    """True, False, or None for what is best."""
    return None if value is None else check_bool(name, value)


def check_optional_seconds(name: str, value: Any) -> float | None:
    """A time of some length, or None for what is best."""
    if value is not None and not check_seconds(name, value) > 0:
        raise ValueError(f"{name} {value!r}: expected more than 0")
    return None if value is None else float(value)


def check_bytes(name: str, value: Any) -> int:
    """A number of bytes that something useful fits in."""
    if type(value) is not int:
        raise TypeError(f"{name} {value!r}: expected a number of bytes")
    if value < 1024:
        raise ValueError(f"{name} {value!r}: expected at least 1024")
    return value


def check_seconds(name: str, value: Any) -> float:
    """A time that a thread can wait for."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} {value!r}: expected a number of seconds")
    if not (math.isfinite(value) and 0 <= value <= threading.TIMEOUT_MAX):
        raise ValueError(f"{name} {value!r}: expected a number of seconds, 0 or more")
    return float(value)


def _when_full(name: str, value: Any) -> str:
    if value not in ("block", "drop"):
        raise ValueError(f'{name} {value!r}: expected "block" or "drop"')
    return str(value)


def _fallback(name: str, value: Any) -> str | logging.Handler | None:
    return value if isinstance(value, logging.Handler) else _path(name, value)


def check_callable(name: str, value: Any) -> Callable[[Any], object] | None:
    """Something to call, or None. Never a text: what stands in the environment is refused."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} {value!r}: expected something to call, or None")
    result: Callable[[Any], object] | None = value
    return result


def check_static(name: str, value: Any) -> dict[str, Any]:
    """Items of every record."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{name} {value!r}: expected a dict of items with keys of text")
    return dict(value)


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "host": _host,
    "ports": check_ports,
    "hosts": check_hosts,
    "failover": check_optional_bool,
    "failback_s": check_seconds,
    "silence_s": check_optional_seconds,
    "socket": _path,
    "token": _token,
    "tls": check_bool,
    "tls_ca": _path,
    "tls_cert": _path,
    "tls_key": _path,
    "tls_verify": check_bool,
    "tls_server_name": _optional_text,
    "buffer_bytes": check_bytes,
    "when_full": _when_full,
    "block_timeout_s": check_seconds,
    "exit_timeout_s": check_seconds,
    "spool": _path,
    "spool_bytes": check_bytes,
    "fallback": _fallback,
    "on_loss": check_callable,
    "static": check_static,
    "context_items": check_bool,
}

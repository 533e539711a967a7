"""The settings of a connection: from arguments, from one URL, from the environment; checked here.

What is given as an argument goes before the same in the URL, that before a variable `LOGD_NAME` of
the environment, that before the same in the URL of `LOGD_URL`, and that before the default:

    LogdHandler("loghost", 9801, spool="/var/spool/shop")
    LogdHandler("logd://:TOKEN@loghost:9801?spool=/var/spool/shop&static.service=shop")
    LogdHandler("logd://a:9801,b:9801")
    LOGD_HOST=loghost LOGD_SPOOL=/var/spool/shop LOGD_STATIC=service=shop,version=1.2

Nothing is opened here. Every error names the setting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from logd_client.fallback import Fallback
from logd_client.places import Moving
from logd_client.problems import RecordsLost
from logd_client.records import Items
from logd_client.settingchecks import (
    CHECKS,
    DEFAULT_HOST,
    DEFAULT_PORTS,
    DEFAULTS,
    check_ports,
    refuse_unknown,
)
from logd_client.settingtexts import of_environment, of_url
from logd_client.tls import TlsSettings
from logd_client.values import flat_items

__all__ = ["Settings", "settle"]


class Settings(NamedTuple):
    """All settings of a connection, checked."""

    host: str
    ports: tuple[int, ...]
    hosts: tuple[str, ...]
    moving: Moving
    socket: str | None
    token: str | None
    tls: TlsSettings | None
    buffer_bytes: int
    block_timeout_s: float
    exit_timeout_s: float
    spool: Path | None
    spool_bytes: int
    fallback: Fallback | None
    on_loss: Callable[[RecordsLost], object] | None
    static: Items
    context_items: bool


def settle(host: str, ports: int | Sequence[int], given: Mapping[str, Any]) -> Settings:
    """The settings of a connection, of all places where they may stand.

    Raises:
        ValueError, TypeError: a wrong setting; the text names it, and the place if that is not
            an argument. Tokens are shown in no text.
    """
    arguments = dict(given)
    environ = arguments.pop("environ", None)
    if environ is not None and not isinstance(environ, Mapping):
        raise TypeError(f"environ of type {type(environ).__name__}: expected a dict of variables")
    if host is not DEFAULT_HOST:
        arguments["host"] = host
    port = arguments.pop("port", None)
    if ports is not DEFAULT_PORTS and port is not None:
        raise TypeError(f"port {port!r} and ports {ports!r}: expected one of them")
    if ports is not DEFAULT_PORTS or port is not None:
        name, number = ("ports", ports) if port is None else ("port", port)
        arguments["ports"] = check_ports(name, number)
    refuse_unknown(arguments, "argument")
    values = {name: CHECKS[name](name, value) for name, value in arguments.items()}
    if "://" in values.get("host", ""):
        values = {**of_url(values.pop("host"), "host"), **values}
    elsewhere = of_environment(os.environ if environ is None else environ)
    if "host" in values and values.get("hosts"):
        raise TypeError(
            f"host {values['host']!r} and hosts {values['hosts']!r}: expected one of them"
        )
    if {"host", "ports", "socket"} & values.keys() or values.get("hosts"):
        # The socket of the environment is another place than the one named here.
        elsewhere.pop("socket", None)
    if {"host", "socket"} & values.keys():
        elsewhere.pop("hosts", None)
    values = {"host": "localhost", "ports": DEFAULT_PORTS, **DEFAULTS, **elsewhere, **values}
    tls = TlsSettings(*[values[f"tls_{name}"] for name in TlsSettings._fields])
    is_tls = values["tls"] or tls != TlsSettings()
    return Settings(
        host=values["host"],
        ports=values["ports"],
        hosts=values["hosts"],
        moving=Moving(values["failover"], values["failback_s"], values["silence_s"]),
        socket=values["socket"],
        token=values["token"],
        tls=tls if is_tls else None,
        buffer_bytes=values["buffer_bytes"],
        block_timeout_s=values["block_timeout_s"] if values["when_full"] == "block" else 0.0,
        exit_timeout_s=values["exit_timeout_s"],
        spool=None if values["spool"] is None else Path(values["spool"]),
        spool_bytes=values["spool_bytes"],
        fallback=values["fallback"],
        on_loss=values["on_loss"],
        static=flat_items(values["static"]),
        context_items=values["context_items"],
    )

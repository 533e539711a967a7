"""The settings of the web server, checked before it listens."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logd.errors import StartupError
from logd.settings.loopback import is_loopback
from logd.settings.sources import Sources
from logd.settings.table import Config


@dataclass(frozen=True)
class Address:
    """Where it listens."""

    host: str
    port: int


def address_of(text: str) -> Address:
    """The address of the setting `web`: "127.0.0.1:9803", "[::1]:9803"."""
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def check(config: Config) -> None:
    """Refuse what would show the log to strangers.

    Raises:
        StartupError: says which setting is missing.
    """
    host = address_of(config.web).host
    if (config.web_tls_cert is None) != (config.web_tls_key is None):
        raise StartupError("web_tls_cert and web_tls_key: one is set without the other")
    if config.web_auth_header is not None and not config.web_trusted_proxies:
        raise StartupError(
            "web_auth_header: set web_trusted_proxies, too: the proxies that may send it"
        )
    if is_loopback(host):
        return
    if config.web_tls_cert is None and not config.web_behind_proxy:
        raise StartupError(
            f"web {config.web}: beyond this machine it needs web_tls_cert and web_tls_key, or "
            "web_behind_proxy = true if a proxy does TLS"
        )
    if config.web_users_file is None and config.web_auth_header is None:
        raise StartupError(
            f"web {config.web}: beyond this machine it needs a login: web_users_file (see "
            "`logd web user add NAME`) or web_auth_header"
        )


def host_names(config: Config) -> dict[str, str]:
    """Address -> name of the setting `web_host_names`."""
    return dict(text.split("=", 1) for text in config.web_host_names)


def is_trusted_proxy(config: Config, peer: str) -> bool:
    """Whether a peer may say who its user is."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(
        address in ipaddress.ip_network(network, strict=False)
        for network in config.web_trusted_proxies
    )


def sender(config: Config, peer: str, forwarded: Sequence[str]) -> str:
    """The address that a request comes from.

    Args:
        config: the settings, which name the proxies that are believed.
        peer: the other end of the connection.
        forwarded: the headers X-Forwarded-For, each with a list.
    """
    hops = [hop.strip() for text in forwarded for hop in text.split(",")]
    while hops and is_trusted_proxy(config, peer):
        try:
            peer = str(ipaddress.ip_address(hops.pop()))
        except ValueError:
            break
    return peer


def for_workers(sources: Sources) -> dict[str, Any]:
    """The settings' sources as the line that workers are told first."""
    return {
        "command_line": dict(sources.command_line),
        "environment": dict(sources.environment),
        "file": None if sources.file is None else str(sources.file),
    }


def views_folders(config: Config) -> list[Path]:
    """Folders of saved views: the one that is written to first."""
    own = config.state_folder / "web" / "views"
    return [own, *([] if config.web_views is None else [Path(config.web_views)])]

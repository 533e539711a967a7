"""Where a daemon listens: the options of the commands that talk to one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from logd.errors import LogdError
from logd.settings.controlpath import SYSTEM_CONFIG
from logd.settings.forreaders import reader_settings
from logd.settings.loading import TOKEN_VARIABLE, ConfigError
from logd.settings.secretfiles import secret_in
from logd.settings.secrets import reveal
from logd_client.connection import ServerAddress
from logd_client.settingchecks import DEFAULT_HOST, DEFAULT_PORTS
from logd_client.settings import settle
from logd_client.tls import TlsSettings


@dataclass(frozen=True, kw_only=True)
class Target:
    """A daemon as the user described it.

    Attributes:
        host: name or address; unused with `unix_path` and `hosts`.
        ports: tried in turn.
        hosts: daemons that stand for each other, "HOST:PORT" each; empty for one.
        unix_path: path of a Unix socket, None for TCP.
        tls: what TLS needs, None without it.
        token: the shared token, None for none.
    """

    host: str
    ports: tuple[int, ...]
    hosts: tuple[str, ...]
    unix_path: str | None
    tls: TlsSettings | None
    token: str | None

    def address(self) -> ServerAddress:
        """The same for the client library.

        Raises:
            LogdError: a certificate or key can't be used.
        """
        try:
            return ServerAddress(self.host, self.ports, self.unix_path, self.tls, self.hosts)
        except ValueError as exc:
            raise LogdError(str(exc)) from exc


def target_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that describe a daemon; it is called with `target`."""

    @wraps(command)
    def called(
        config: str | None,
        host: str | None,
        port: tuple[int, ...],
        hosts: str | None,
        socket: str | None,
        token_file: Path | None,
        tls: bool,
        tls_ca: str | None,
        tls_cert: str | None,
        tls_key: str | None,
        **others: Any,
    ) -> None:
        wants_tls = tls or tls_ca is not None or tls_cert is not None
        if socket is not None and wants_tls:
            raise click.UsageError("--socket has no TLS: a Unix socket never leaves the machine")
        if tls_key is not None and tls_cert is None:
            raise click.UsageError("--tls-key needs --tls-cert")
        if hosts is not None and (host is not None or socket is not None):
            raise click.UsageError("--hosts can not be given together with --host or --socket")
        is_named = bool(host or port or hosts)
        of_app = None if config else _of_app()
        found = of_app or _NOWHERE
        if config or not (is_named or socket or of_app):
            found = _found(config)
        elif is_named or socket:
            # What is named on the command line goes before what variables name; what is encrypted
            # for an app is not sent in the clear to another host.
            found = _Found(tls=None if socket else found.tls)
        target = Target(
            host=host or found.host,
            ports=port or (found.tls_ports if wants_tls and found.tls_ports else found.ports),
            hosts=found.hosts if hosts is None else tuple(map(str.strip, hosts.split(","))),
            unix_path=socket or (None if is_named or wants_tls else found.unix_path),
            tls=TlsSettings(ca=tls_ca, cert=tls_cert, key=tls_key) if wants_tls else found.tls,
            token=_token(token_file) or found.token,
        )
        command(target=target, **others)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Where a daemon listens, by settings of its own or of an app; as in `Target`.

    Attributes:
        tls_ports: those of its ports that are for TLS.
    """

    host: str = "localhost"
    ports: tuple[int, ...] = (9801,)
    tls_ports: tuple[int, ...] = ()
    hosts: tuple[str, ...] = ()
    unix_path: str | None = None
    tls: TlsSettings | None = None
    token: str | None = None


_NOWHERE = _Found()


def _of_app() -> _Found | None:
    """The daemon of an app with this environment; None if nothing in it is for apps only.

    Raises:
        LogdError: a variable can't be used.
    """
    if not any(os.environ.get(name) for name in _OF_APPS):
        return None
    environ = {name: os.environ[name] for name in (*_OF_APPS, *_OF_BOTH) if name in os.environ}
    try:
        settled = settle(DEFAULT_HOST, DEFAULT_PORTS, {"environ": environ})
    except (ValueError, TypeError) as exc:
        raise LogdError(str(exc)) from exc
    return _Found(
        host=settled.host,
        ports=settled.ports,
        hosts=settled.hosts,
        unix_path=settled.socket,
        tls=settled.tls,
        token=settled.token,
    )


def _found(config_file: str | None) -> _Found:
    """The daemon of the settings that `logd tail` would read.

    Raises:
        ConfigError: they can't be used.
    """
    settings = reader_settings({}, config_file).config
    host = settings.host[0] if settings.host else _NOWHERE.host
    token = None
    # A user that may not read it may know the token otherwise.
    with suppress(ConfigError):
        secret = reader_settings({}, config_file, has_token=True).config.token
        token = None if secret is None else reveal(secret)
    return _Found(
        host=_NOWHERE.host if host in _ALL_ADDRESSES else host,
        ports=tuple(filter(None, settings.port)) or _NOWHERE.ports,
        tls_ports=tuple(filter(None, settings.tls_port)),
        unix_path=settings.socket if settings.socket and Path(settings.socket).exists() else None,
        token=token,
    )


_OF_APPS = (
    "LOGD_URL",
    "LOGD_HOSTS",
    "LOGD_TLS",
    "LOGD_TLS_CA",
    "LOGD_TLS_VERIFY",
    "LOGD_TLS_SERVER_NAME",
)
_OF_BOTH = (
    "LOGD_HOST",
    "LOGD_PORT",
    "LOGD_SOCKET",
    "LOGD_TOKEN",
    "LOGD_TLS_CERT",
    "LOGD_TLS_KEY",
)
_ALL_ADDRESSES = ("", "0.0.0.0", "::")
_PORT = click.IntRange(1, 65535)
_FILE = click.Path(exists=True, dir_okay=False)
_OPTIONS = (
    click.option(
        "--config",
        metavar="FILE",
        type=click.Path(),
        help="The daemon's settings, which say where it listens. Not given: what LOGD_URL, "
        "LOGD_HOSTS and LOGD_TLS... say to apps, else the file that LOGD_CONFIG names, or "
        f"{SYSTEM_CONFIG} if it exists.",
    ),
    click.option("--host", metavar="HOST", help="The daemon's host.  [localhost]"),
    click.option(
        "--port",
        metavar="PORT ...",
        type=_PORT,
        multiple=True,
        help="Its port. If it is given again, the first one that answers is used.  [9801]",
    ),
    click.option(
        "--hosts",
        metavar="HOST:PORT,...",
        help="Daemons that stand for each other, with commas between; one that answers is used. "
        "LOGD_HOSTS names them, too.",
    ),
    click.option(
        "--socket",
        metavar="PATH",
        type=click.Path(readable=False),
        help="Its Unix socket, instead of host and port.",
    ),
    click.option(
        "--token-file",
        metavar="PATH",
        envvar="LOGD_TOKEN_FILE",
        type=click.Path(path_type=Path),
        help="File with the shared token. The variable LOGD_TOKEN may hold the token itself.",
    ),
    click.option("--tls", is_flag=True, help="Use TLS. The next three options imply it."),
    click.option(
        "--tls-ca",
        metavar="PATH",
        type=_FILE,
        help="Authorities that may sign the daemon's certificate. Not given: those of the system.",
    ),
    click.option("--tls-cert", metavar="PATH", type=_FILE, help="Certificate to show."),
    click.option("--tls-key", metavar="PATH", type=_FILE, help="Key of that certificate."),
)


def _token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        return secret_in(path, "token")
    except OSError as exc:
        raise LogdError(f"token file {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise LogdError(f"token file {path}: not UTF-8 text") from exc
    except ValueError as exc:
        raise LogdError(f"token file {path}: {exc}") from exc


def timeout_option(
    seconds: float, what: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the option `--timeout`: it gives up if `what` takes longer."""
    return click.option(
        "--timeout",
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=seconds,
        show_default=True,
        help=f"Give up if the {what}.",
    )

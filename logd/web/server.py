"""Runs the application: `logd web`."""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn

from logd.errors import StartupError
from logd.settings.loading import InForce
from logd.settings.table import Config
from logd.web import settings
from logd.web.application import application
from logd.web.connections import PageConnection

STOP_S = 3
"""Streams that are open at the end are cut after this many seconds."""

BACKLOG = 128
MAX_HEAD_BYTES = 32_768

logger = logging.getLogger(__name__)


def listen(config: Config) -> socket.socket:
    """The socket of the setting `web`.

    Raises:
        StartupError: it can't be used; says why.
    """
    address = settings.address_of(config.web)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address.host, address.port))
        # At once: the link that is shown next works as soon as it is there.
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise StartupError(f"web {config.web}: {exc.strerror or exc}") from exc
    return sock


def link(config: Config, port: int, token: str | None) -> str:
    """The address of the page for people, with a token if it needs one."""
    address = settings.address_of(config.web)
    scheme = "https" if config.web_tls_cert is not None else "http"
    host = f"[{address.host}]" if ":" in address.host else address.host
    host = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host
    base = config.web_base_path.rstrip("/")
    return f"{scheme}://{host}:{port}{base}/{f'#t={token}' if token is not None else ''}"


def run(in_force: InForce, *, opens_browser: bool) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        in_force: the settings.
        opens_browser: whether the page is shown at once.

    Raises:
        StartupError: it can't start; says why.
    """
    config = in_force.config
    settings.check(config)
    sock = listen(config)
    port = sock.getsockname()[1]

    def show_link(token: str) -> None:
        print(f"logd web: {link(config, port, token)}", file=sys.stderr, flush=True)  # noqa: T201

    app = application(in_force, port=port, show_link=show_link)
    web = app.state.web
    if web.users is None and config.web_auth_header is None:
        token = web.sessions.new_token()
        show_link(token)
    else:
        token = None
        print(f"logd web: {link(config, port, None)}", file=sys.stderr, flush=True)  # noqa: T201
    if opens_browser:
        import webbrowser

        webbrowser.open(link(config, port, token))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=PageConnection,
            ws="none",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            timeout_graceful_shutdown=STOP_S,
            ssl_certfile=config.web_tls_cert,
            ssl_keyfile=config.web_tls_key,
        )
    )
    server.run(sockets=[sock])

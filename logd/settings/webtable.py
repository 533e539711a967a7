"""The settings of the page, `logd web`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from logd.settings.field import PATH, WEB, setting
from logd.settings.kinds import (
    Duration,
    Flag,
    Integer,
    Many,
    Optional,
    Size,
    Text,
    is_host_and_port,
    is_network,
)


# Never made by itself: methods of its own would only take each command's time.
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class WebSettings:
    """Their part of `logd.settings.table.Config`."""

    web: str = setting(
        "127.0.0.1:9803",
        Text("HOST:PORT", 'an address such as "127.0.0.1:9803"', is_host_and_port),
        WEB,
        "Address of the page. If it is given, logd serve starts the page together with the daemon.",
        reloads=False,
    )
    web_hosts: tuple[str, ...] = setting(
        (),
        Many(Text("NAME"), has_commas=True),
        WEB,
        "More host names that a URL of the page may have. The names of this machine are always "
        "allowed.",
        reloads=False,
    )
    web_tls_cert: str | None = setting(
        None, PATH, WEB, "The page's certificate and its chain, a PEM file.", reloads=False
    )
    web_tls_key: str | None = setting(
        None, PATH, WEB, "The certificate's private key, a PEM file.", reloads=False
    )
    web_users_file: str | None = setting(
        None,
        PATH,
        WEB,
        "File with users and passwords (see logd web user). Not set: a link with a token signs in.",
        reloads=False,
    )
    web_auth_header: str | None = setting(
        None,
        Optional(Text("HEADER")),
        WEB,
        "Header in which a trusted proxy sends the name of the user (oauth2-proxy, Authelia).",
        reloads=False,
    )
    web_trusted_proxies: tuple[str, ...] = setting(
        (),
        Many(Text("NETWORK", 'a network such as "10.0.0.0/8"', is_network), has_commas=True),
        WEB,
        "Proxies that may send the user's name, and the address of who asks (X-Forwarded-For).",
        reloads=False,
    )
    web_behind_proxy: bool = setting(
        False,
        Flag(),
        WEB,
        "A proxy in front of the page does TLS. Then the page itself may listen on a network "
        "without it.",
        reloads=False,
    )
    web_base_path: str = setting(
        "",
        Text("PATH", 'a path such as "/logs"', lambda text: re.fullmatch(r"(/[\w.-]+)*/?", text)),
        WEB,
        "The path under which a proxy shows the page.",
        reloads=False,
    )
    web_views: str | None = setting(
        None,
        PATH,
        WEB,
        "Folder with more saved views, TOML files, for instance a git checkout. Read only.",
        reloads=False,
    )
    web_marks: tuple[str, ...] = setting(
        ("logger:deploy", "/^(deploy|rollback) /i has:version"),
        Many(Text("SELECTION")),
        WEB,
        "Selections of the records that mark a deploy or a rollback.",
        reloads=False,
    )
    web_request_key: str = setting(
        "request_id",
        Text("KEY"),
        WEB,
        "The item that names the request a record belongs to, besides the usual names.",
        reloads=False,
    )
    web_host_names: tuple[str, ...] = setting(
        (),
        Many(
            Text("ADDRESS=NAME", 'such as "10.0.0.7=web-1"', lambda text: "=" in text[1:-1]),
            has_commas=True,
        ),
        WEB,
        "Names to show for the addresses of hosts.",
        reloads=False,
    )
    web_scan_s: float = setting(
        2.0,
        Duration(),
        WEB,
        "After this time a search shows what it has found. It goes on if the user asks for more.",
        unit="s",
        reloads=False,
    )
    web_scan_bytes: int = setting(
        512 << 20,
        Size(1 << 20),
        WEB,
        "The same after this many bytes of records, uncompressed, were read.",
        unit="bytes",
        reloads=False,
    )
    web_workers: int = setting(
        2,
        Integer(1, 16),
        WEB,
        "How many searches run at a time. Others wait.",
        reloads=False,
    )
    web_audit: bool = setting(
        False,
        Flag(),
        WEB,
        "Log each search with its user: to standard error, and by the daemon into the log itself.",
        reloads=False,
    )
    web_own_code: tuple[str, ...] = setting(
        (),
        Many(Text("PATH"), has_commas=True),
        WEB,
        "Code that is your own although it is installed as a package, such as "
        '"site-packages/shop". Its lines in tracebacks are shown open.',
        reloads=False,
    )
    web_source_link: str | None = setting(
        None,
        Optional(Text("URL")),
        WEB,
        "Link to the source of a traceback's line: a URL with {file}, {line} and "
        "{version}, the version that was running.",
        reloads=False,
    )

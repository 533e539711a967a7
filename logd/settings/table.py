"""All settings of the daemon: one table that everything else about settings follows from.

Each field of `Config` is one setting: its name, type, default, kind of value, help and whether a
reload can change it stand in one place. Command-line options (`--rotate-count`), environment
variables (`LOGD_ROTATE_COUNT`), keys of the TOML file (`rotate_count`), `logd config` and the
README's table are made from it. Where values come from is `loading.py`'s concern, which of
them fit together `checks.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from logd.settings.kinds import (
    Choice,
    Duration,
    Flag,
    Integer,
    Kind,
    Many,
    Mode,
    Optional,
    Size,
    Text,
    is_host_and_port,
    is_network,
    is_schedule,
)
from logd.settings.sources import Sources

T = TypeVar("T")

DEFAULT_FILE = "logs/logd_%d.log"
"""Where records go when no output is named."""

LISTEN = "Listen"
OUTPUTS = "Outputs"
ROTATION = "Rotation and retention"
TEXT = "Text of entries"
PIPELINE = "Filters and observers"
SECURITY = "Security"
DELIVERY = "Delivery"
LIMITS = "Limits"
OPERATION = "Operation"
WEB = "Web page (logd web)"


def _setting(
    default: T,
    kind: Kind[Any],
    group: str,
    help: str,  # noqa: A002 - called so by click, argparse and the README too
    *,
    unit: str = "",
    reloads: bool = True,
    hides: bool = False,
) -> T:
    """A field of `Config`; type checkers see the default value, as for `dataclasses.field`."""
    about = {"kind": kind, "group": group, "help": help, "unit": unit}
    about |= {"reloads": reloads, "hides": hides}
    return field(default=default, repr=not hides, metadata={"setting": about})


_PORT = Integer(0, 65535, "PORT", "a port number")
_PATH = Optional(Text("PATH"))
_OBJECT = Text(
    "MODULE:OBJECT",
    'a name such as "package.module:object", perhaps with "?argument=value&..."',
    lambda text: re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*(\?.*)?", text),
    is_secret=True,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings in force; complete and checked, whatever they came from.

    Attributes that are no settings:
        token: the shared token itself, from `token_file` or the environment; None without one.
        sources: where the values came from, to read them anew at a reload; None where a program
            made this object itself.
    """

    host: tuple[str, ...] = _setting(
        ("localhost",),
        Many(Text("HOST"), has_commas=True),
        LISTEN,
        "Names or addresses to listen on; 0.0.0.0 and :: are all of this machine's.",
        reloads=False,
    )
    port: tuple[int, ...] = _setting(
        (9801,),
        Many(_PORT, has_commas=True),
        LISTEN,
        "Ports to try; the first that is free on every host is used. 0 is any free one.",
        reloads=False,
    )
    socket: str | None = _setting(
        None, _PATH, LISTEN, "Also listen on a Unix socket at this path.", reloads=False
    )
    socket_owner: str | None = _setting(
        None, Optional(Text("USER")), LISTEN, "User who owns the Unix socket.", reloads=False
    )
    socket_group: str | None = _setting(
        None, Optional(Text("GROUP")), LISTEN, "Group of the Unix socket.", reloads=False
    )
    socket_mode: int = _setting(
        0o660,
        Mode(),
        LISTEN,
        "Permissions of the Unix socket: who may write to it may log.",
        reloads=False,
    )

    file: tuple[str, ...] = _setting(
        (),
        Many(Text("PATTERN")),
        OUTPUTS,
        "Write to rotating text files: app.log always has the newest, in app_%d.log %d is the "
        f"number of the file. {DEFAULT_FILE} if no output is set.",
    )
    db: tuple[str, ...] = _setting(
        (),
        Many(
            Text(
                "URL",
                'a database URL such as "sqlite:///log.db"',
                lambda text: "://" in text,
                is_secret=True,
            )
        ),
        OUTPUTS,
        "Write to rotating tables of a database, given as an SQLAlchemy URL. Keep passwords off "
        "the command line, where others see them: use the settings file or LOGD_DB.",
        hides=True,
    )
    stdout: bool = _setting(False, Flag(), OUTPUTS, "Write to standard output.")
    output: tuple[str, ...] = _setting(
        (),
        Many(
            Text(
                "NAME:ADDRESS",
                'text such as "name:address"',
                lambda text: text.find(":") > 0,
                is_secret=True,
            )
        ),
        OUTPUTS,
        "Write to an output that another package brings, by its name and what it calls address.",
        hides=True,
    )
    table_pattern: str = _setting(
        "log_%d", Text("PATTERN"), OUTPUTS, "Names of database tables; %d is their number."
    )
    columns: tuple[str, ...] = _setting(
        (),
        Many(Text("NAME:TYPE", 'text such as "user:String(64)" or "amount:Integer"')),
        OUTPUTS,
        "Further database columns, filled from the special item of the same name.",
    )
    shared_marks: bool = _setting(
        False,
        Flag(),
        OUTPUTS,
        "Several daemons, each with a table_pattern of its own, write to one PostgreSQL or MariaDB "
        "and know of each other what is stored: clients may go to any of them. Such a daemon has "
        "no other output and keeps nothing on disk.",
        reloads=False,
    )
    state_dir: str | None = _setting(
        None,
        _PATH,
        OUTPUTS,
        "Folder for dead letters and what waits for outputs; .logd-state beside the first log file "
        "if not set.",
        reloads=False,
    )

    rotate_count: int = _setting(
        10,
        Integer(1),
        ROTATION,
        "Files or tables in the ring; the oldest is overwritten when all are full.",
    )
    rotate_lines: int | None = _setting(
        1_000_000,
        Optional(Integer(1), "off"),
        ROTATION,
        "Records in one file or table before the next is begun.",
        unit="records",
    )
    rotate_size: int | None = _setting(
        256 * 1024**2,
        Optional(Size(1), "off"),
        ROTATION,
        "Size of a file before the next is begun, whichever of this and rotate_lines comes first.",
        unit="bytes",
    )
    rotate_at: str | None = _setting(
        None,
        Optional(
            Text(
                "WHEN",
                '"hourly", "daily HH:MM" or "weekly DAY HH:MM" (DAY: mon to sun)',
                is_schedule,
            ),
            "off",
        ),
        ROTATION,
        'When the next file or table is begun: "hourly", "daily 00:00", "weekly mon 03:00".',
    )
    rotate_utc: bool = _setting(False, Flag(), ROTATION, "rotate_at is in UTC, not local time.")
    naming: Literal["ring", "date"] = _setting(
        "ring",
        Choice("ring", "date"),
        ROTATION,
        "What %d stands for: a number in the ring, or the date and time a file was begun. What "
        "app.log is called once it is closed: app.log.1, or app-2026-11-22.log.",
    )
    compress: Literal["none", "gzip", "zstd"] = _setting(
        "none",
        Choice("none", "gzip", "zstd"),
        ROTATION,
        "How full files are compressed, in the background.",
    )
    index: bool = _setting(
        True,
        Flag(),
        ROTATION,
        "Full files get an index beside them, made by a process of low priority, so that times "
        "are found and entries counted without reading the log.",
    )
    keep_age_s: float | None = _setting(
        None,
        Optional(Duration(), "off"),
        ROTATION,
        "Full files and tables whose last record is older are removed.",
        unit="seconds",
    )
    keep_total_bytes: int | None = _setting(
        4 * 1024**3,
        Optional(Size(1), "off"),
        ROTATION,
        "The oldest files are removed when all of an output together are larger: a million long "
        "records in each of ten files would fill most disks.",
        unit="bytes",
    )
    min_free_bytes: int = _setting(
        0,
        Size(),
        ROTATION,
        "The oldest files are removed, with a word in the log, when the disk has less space "
        "free. 0 is off.",
        unit="bytes",
    )

    line_format: str | None = _setting(
        None,
        Optional(Text("FORMAT")),
        TEXT,
        'Text of a line: "json" for one object a line, or a format as logging.Formatter has it: '
        "%(asctime)s %(message)s. The own format, "
        "in the README, where not set; it is faster.",
    )
    timestamp: str | None = _setting(
        "%Y-%m-%dT%H:%M:%S.%3N%z",
        Optional(Text("FORMAT"), "none"),
        TEXT,
        "Times: strftime's format, %3N for milliseconds; std1, std2 or none.",
    )
    file_names: Literal["short", "full"] = _setting(
        "short",
        Choice("short", "full"),
        TEXT,
        "Source files in call paths: the bare name, or with its folders.",
    )

    filter: tuple[str, ...] = _setting(
        (),
        Many(_OBJECT),
        PIPELINE,
        "Callables that may change or drop each record before it is written, in this order. "
        "A class is called first, with arguments as in MODULE:CLASS?cats=E,W&limit=5.",
        hides=True,
    )
    observer: tuple[str, ...] = _setting(
        (),
        Many(_OBJECT),
        PIPELINE,
        "Callables that see each record after it was written.",
        hides=True,
    )

    tls_port: tuple[int, ...] = _setting(
        (),
        Many(_PORT, has_commas=True),
        SECURITY,
        "Ports for TLS, beside the plain ones; the first free one is used.",
        reloads=False,
    )
    tls_cert: str | None = _setting(
        None, _PATH, SECURITY, "The server's certificate and its chain, a PEM file."
    )
    tls_key: str | None = _setting(
        None, _PATH, SECURITY, "The certificate's private key, a PEM file."
    )
    tls_client_ca: str | None = _setting(
        None, _PATH, SECURITY, "Authorities that clients' certificates must come from, a PEM file."
    )
    tls_client_certs: Literal["none", "optional", "required"] = _setting(
        "none",
        Choice("none", "optional", "required"),
        SECURITY,
        "Whether clients must show a certificate.",
    )
    tls_crl: str | None = _setting(
        None,
        _PATH,
        SECURITY,
        "Lists of revoked certificates, a PEM file with one of each authority that signs clients' "
        "certificates; read again at a reload. One that has expired lets nobody in.",
    )
    tls_min_version: Literal["1.2", "1.3"] = _setting(
        "1.2", Choice("1.2", "1.3"), SECURITY, "The oldest TLS version spoken."
    )
    allow: tuple[str, ...] = _setting(
        (),
        Many(
            Text("NETWORK", "an address or network such as 10.0.0.0/8", is_network),
            has_commas=True,
        ),
        SECURITY,
        "Networks that may connect, all others are refused; everyone may where not set.",
    )
    token_file: str | None = _setting(
        None,
        _PATH,
        SECURITY,
        "File with the token that senders must know. The variable LOGD_TOKEN may hold the token "
        "itself; an option for it would show it to everyone on this machine.",
    )

    sync: Literal["batch", "none"] = _setting(
        "batch",
        Choice("batch", "none"),
        DELIVERY,
        "What an acknowledged record survives: batch, the death of the machine; none, only that "
        "of the daemon.",
    )
    queue_disk_bytes: int = _setting(
        1024**3,
        Size(0),
        DELIVERY,
        "Disk space for each output to keep records that it can't take now: senders go on, and "
        "the output gets them later, in order. It never takes the disk below min_free_bytes. "
        "When it is full, senders wait. 0 is off.",
        unit="bytes",
    )
    drain_s: float = _setting(
        30.0,
        Duration(is_zero_allowed=True),
        DELIVERY,
        "Longest time to read what senders had sent when told to stop. What an output can't take "
        "by then, or within 10 seconds, waits on disk for the next start.",
        unit="seconds",
    )

    queue_bytes: int = _setting(
        64 * 1024**2,
        Size(1),
        LIMITS,
        "Received and not yet written, in all; at this size reading pauses, and senders wait. "
        "Incomplete frames together may take as much again; if they are more, those of the peer "
        "with most are given up.",
        unit="bytes",
    )
    connection_queue_bytes: int = _setting(
        4 * 1024**2,
        Size(1),
        LIMITS,
        "The same for one connection, so that a greedy sender leaves room to the others.",
        unit="bytes",
    )
    max_frame_bytes: int = _setting(
        1024**2,
        Size(1024),
        LIMITS,
        "Of a longer record of `SocketHandler` the first 64 KiB are kept, with a word about it; "
        "any other longer frame closes its connection.",
        unit="bytes",
    )
    max_connections: int = _setting(
        20_000,
        Integer(1),
        LIMITS,
        "Connections at a time. For further ones silent connections are closed; without any, the "
        "further ones are. If the system allows fewer descriptors, they wait.",
    )
    max_connections_per_peer: int = _setting(
        0,
        Integer(0),
        LIMITS,
        "The same for one peer: an address, or a user of the Unix socket. 0 is off.",
    )
    first_frame_timeout_s: float = _setting(
        10.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Time in which a new connection must have sent a good first frame, with the token if one "
        "is set, or it is closed. 0 is off.",
        unit="seconds",
    )
    frame_timeout_s: float = _setting(
        30.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Time in which a frame once begun must be complete, or its connection is closed. 0 is off.",
        unit="seconds",
    )
    idle_timeout_s: float = _setting(
        0.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "A connection silent for longer is closed. 0 is off.",
        unit="seconds",
    )
    peer_records_per_s: int = _setting(
        0,
        Integer(0),
        LIMITS,
        "Records from one peer; over it reading from it pauses, nothing is dropped. 0 is off.",
        unit="records/s",
    )

    metrics: str | None = _setting(
        None,
        Optional(Text("HOST:PORT", 'an address such as "localhost:9802"', is_host_and_port)),
        OPERATION,
        "Serve Prometheus metrics, /healthz and /readyz on this address.",
        reloads=False,
    )
    metrics_hosts: tuple[str, ...] = _setting(
        (),
        Many(Text("NAME"), has_commas=True),
        OPERATION,
        "Further names by which the metrics may be asked for, as in a URL; addresses and this "
        "machine's own name always may be.",
        reloads=False,
    )
    control: str | None = _setting(
        None,
        _PATH,
        OPERATION,
        "Unix socket for logd status and tail -f; control.sock in the folder of state_dir where "
        "not set.",
        reloads=False,
    )
    feed: str | None = _setting(
        None,
        _PATH,
        OPERATION,
        "Unix socket for following and status only, open to a group; feed.sock in the folder of "
        "state_dir if not set.",
        reloads=False,
    )
    feed_group: str | None = _setting(
        None,
        Optional(Text("GROUP")),
        OPERATION,
        "The group that may use the feed socket. Not set: the daemon's own.",
        reloads=False,
    )
    loop: Literal["uvloop", "asyncio"] = _setting(
        "uvloop",
        Choice("uvloop", "asyncio"),
        OPERATION,
        "The event loop; asyncio, the standard one, is used where uvloop is absent.",
        reloads=False,
    )
    log_level: Literal["error", "warning", "info", "debug"] = _setting(
        "info",
        Choice("error", "warning", "info", "debug"),
        OPERATION,
        "How much the daemon says of itself, on standard error.",
    )

    web: str = _setting(
        "127.0.0.1:9803",
        Text("HOST:PORT", 'an address such as "127.0.0.1:9803"', is_host_and_port),
        WEB,
        "Where the page listens. logd serve starts it beside the daemon if this is given.",
        reloads=False,
    )
    web_hosts: tuple[str, ...] = _setting(
        (),
        Many(Text("NAME"), has_commas=True),
        WEB,
        "Names that browsers may reach the page by, besides those of this machine itself.",
        reloads=False,
    )
    web_tls_cert: str | None = _setting(
        None, _PATH, WEB, "Certificate chain of the page (PEM).", reloads=False
    )
    web_tls_key: str | None = _setting(
        None, _PATH, WEB, "Key of that certificate (PEM).", reloads=False
    )
    web_users_file: str | None = _setting(
        None,
        _PATH,
        WEB,
        "File with names and passwords, see logd web user. Not set: a link with a token.",
        reloads=False,
    )
    web_auth_header: str | None = _setting(
        None,
        Optional(Text("HEADER")),
        WEB,
        "Header in which a trusted proxy says who the user is (oauth2-proxy, Authelia).",
        reloads=False,
    )
    web_trusted_proxies: tuple[str, ...] = _setting(
        (),
        Many(Text("NETWORK", 'a network such as "10.0.0.0/8"', is_network), has_commas=True),
        WEB,
        "Proxies whose word on the user counts.",
        reloads=False,
    )
    web_behind_proxy: bool = _setting(
        False,
        Flag(),
        WEB,
        "A proxy does TLS: the page may listen beyond this machine without.",
        reloads=False,
    )
    web_base_path: str = _setting(
        "",
        Text("PATH", 'a path such as "/logs"', lambda text: re.fullmatch(r"(/[\w.-]+)*/?", text)),
        WEB,
        "The path under which a proxy shows the page.",
        reloads=False,
    )
    web_views: str | None = _setting(
        None,
        _PATH,
        WEB,
        "Folder of further saved views, read only: TOML files, for instance of a git checkout.",
        reloads=False,
    )
    web_marks: tuple[str, ...] = _setting(
        ("logger:deploy", "/^(deploy|rollback) /i has:version"),
        Many(Text("SELECTION")),
        WEB,
        "Which records mark a deploy or a rollback.",
        reloads=False,
    )
    web_request_key: str = _setting(
        "request_id",
        Text("KEY"),
        WEB,
        "The item that names the request a record belongs to.",
        reloads=False,
    )
    web_host_names: tuple[str, ...] = _setting(
        (),
        Many(
            Text("ADDRESS=NAME", 'such as "10.0.0.7=web-1"', lambda text: "=" in text[1:-1]),
            has_commas=True,
        ),
        WEB,
        "Names to show for the addresses of hosts.",
        reloads=False,
    )
    web_scan_s: float = _setting(
        2.0,
        Duration(),
        WEB,
        "After this time a search answers with what it has, and goes on when asked.",
        unit="s",
        reloads=False,
    )
    web_workers: int = _setting(
        2,
        Integer(1, 16),
        WEB,
        "Processes that search at a time; further searches wait.",
        reloads=False,
    )
    web_audit: bool = _setting(
        False, Flag(), WEB, "Tell who looked for what, on standard error.", reloads=False
    )
    web_source_link: str | None = _setting(
        None,
        Optional(Text("URL")),
        WEB,
        "Where the source of a frame can be seen: a URL with {file} and {line}.",
        reloads=False,
    )

    token: str | None = field(default=None, repr=False)
    sources: Sources | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.file or self.db or self.stdout or self.output):
            object.__setattr__(self, "file", (DEFAULT_FILE,))

    @property
    def state_folder(self) -> Path:
        """Where dead letters and queues go: `state_dir`, or what stands for it where not set."""
        if self.state_dir is not None:
            return Path(self.state_dir)
        return (Path(self.file[0]).parent if self.file else Path()) / ".logd-state"


class Setting(NamedTuple):
    """What is known of one setting.

    Attributes:
        name: as in `Config` and TOML.
        default: its value where nobody says otherwise.
        kind: how its values are read and written.
        group: heading it stands under in the usage text.
        help: what it does, for people.
        unit: what its number counts; empty where that is plain.
        reloads: a reload (SIGHUP) can change it.
        hides: values may hold passwords, so they are shown without.
    """

    name: str
    default: object
    kind: Kind[Any]
    group: str
    help: str
    unit: str
    reloads: bool
    hides: bool

    @property
    def option(self) -> str:
        """The command line's option."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "LOGD_" + self.name.upper()


SETTINGS: Mapping[str, Setting] = {
    item.name: Setting(item.name, item.default, **item.metadata["setting"])
    for item in fields(Config)
    if "setting" in item.metadata
}
"""Every setting by name, in the order in which people see them."""

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
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from logd.settings.kinds import (
    Choice,
    DatabaseUrl,
    Duration,
    FilePath,
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
from logd.settings.sections import OutputSection
from logd.settings.sources import Sources

T = TypeVar("T")

DEFAULT_FILE = "logs/logd_%d.log"
"""Where records go when no output is named."""

READABLE_FORMATS = (None, "json", "logfmt")
"""Values of `line_format` whose lines can be read back; others are texts of the user's own."""

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
    of_output: bool = False,
) -> T:
    """A field of `Config`; type checkers see the default value, as for `dataclasses.field`."""
    about = {"kind": kind, "group": group, "help": help, "unit": unit}
    about |= {"reloads": reloads, "hides": hides, "of_output": of_output}
    return field(default=default, repr=not hides, metadata={"setting": about})


_PORT = Integer(0, 65535, "PORT", "a port number")
_PATH = Optional(FilePath())
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
        outputs: outputs with a choice of records or settings of their own, as a settings file has
            them under `[[outputs]]`.
        token: the shared token itself, from `token_file` or the environment; None without one.
        sources: where the values came from, to read them anew at a reload; None if a program
            made this object itself.
    """

    host: tuple[str, ...] = _setting(
        ("localhost",),
        Many(Text("HOST"), has_commas=True),
        LISTEN,
        "Names or addresses to listen on. 0.0.0.0 and :: stand for all addresses of this machine.",
        reloads=False,
    )
    port: tuple[int, ...] = _setting(
        (9801,),
        Many(_PORT, has_commas=True),
        LISTEN,
        "Ports to try. The daemon uses the first that is free on every host. 0: any free port.",
        reloads=False,
    )
    socket: str | None = _setting(
        None, _PATH, LISTEN, "Also listen on a Unix socket at this path.", reloads=False
    )
    socket_owner: str | None = _setting(
        None, Optional(Text("USER")), LISTEN, "User that owns the Unix socket.", reloads=False
    )
    socket_group: str | None = _setting(
        None, Optional(Text("GROUP")), LISTEN, "Group of the Unix socket.", reloads=False
    )
    socket_mode: int = _setting(
        0o660,
        Mode(),
        LISTEN,
        "Permissions of the Unix socket. Users who may write to it may log.",
        reloads=False,
    )

    file: tuple[str, ...] = _setting(
        (),
        Many(FilePath("PATTERN")),
        OUTPUTS,
        "Write to rotating text files. With app.log, app.log always has the newest records. With "
        f"app_%d.log, %d is the number of the file. If no output is set: {DEFAULT_FILE}.",
    )
    db: tuple[str, ...] = _setting(
        (),
        Many(DatabaseUrl()),
        OUTPUTS,
        "Write to rotating tables of this database, an SQLAlchemy URL. Other users can read the "
        "command line: put passwords into the settings file or LOGD_DB.",
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
        "Write to an engine (nats:URL, see the README of logd/engine), or to an output of another "
        "package: its name, and the address that it expects.",
        hides=True,
    )
    table_pattern: str = _setting(
        "log_%d",
        Text("PATTERN"),
        OUTPUTS,
        "Names of database tables; %d is their number.",
        of_output=True,
    )
    columns: tuple[str, ...] = _setting(
        (),
        Many(Text("NAME:TYPE", 'text such as "user:String(64)" or "amount:Integer"')),
        OUTPUTS,
        "More database columns. Each holds the special item of its name. Types: Text, String(64), "
        "Integer, BigInteger, Float.",
        of_output=True,
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
    source: str | None = _setting(
        None,
        Optional(
            Text(
                "NAME:ADDRESS",
                'text such as "name:address"',
                lambda text: text.find(":") > 0,
                is_secret=True,
            )
        ),
        OUTPUTS,
        "Take records from an engine (nats:URL, see the README of logd/engine) in place of "
        "listening. Each of its partitions gets a log of its own: %p in file or table_pattern is "
        "its number.",
        reloads=False,
        hides=True,
    )
    standby: Literal["wait", "fail"] = _setting(
        "wait",
        Choice("wait", "fail"),
        OUTPUTS,
        "What a daemon with a source does if another one writes to the same log: wait until that "
        "one is gone, or fail at the start.",
        reloads=False,
    )
    engine_keep_s: float = _setting(
        3600.0,
        Duration(is_zero_allowed=True),
        OUTPUTS,
        "How long records stay in the engine that all stores have, to be read again if need be.",
        unit="s",
        reloads=False,
    )
    engine_retry_s: float = _setting(
        43_200.0,
        Duration(),
        OUTPUTS,
        "If an engine, or a database with shared_marks, stores nothing for so long that clients "
        "wait for, the daemon ends with status 1, to be started again: what it still holds might "
        "be stored twice by then. Clients have all of it. Under a day.",
        unit="s",
        reloads=False,
    )
    engine_durable: Literal["always", "lazy"] = _setting(
        "always",
        Choice("always", "lazy"),
        OUTPUTS,
        "What an engine (output nats:...) must promise. always: its servers sync what they "
        "acknowledge (sync_interval: always). lazy: any engine will do; if all its servers lose "
        "power at once, records of the last two minutes may be lost, though they were "
        "acknowledged.",
        reloads=False,
        of_output=True,
    )
    state_dir: str | None = _setting(
        None,
        _PATH,
        OUTPUTS,
        "Folder for dead letters and for records that wait for an output. Not set: .logd-state "
        "beside the first log file.",
        reloads=False,
    )

    rotate_count: int = _setting(
        10,
        Integer(1),
        ROTATION,
        "How many files or tables to keep. When all are full, the oldest is overwritten.",
        of_output=True,
    )
    rotate_lines: int | None = _setting(
        1_000_000,
        Optional(Integer(1), "off"),
        ROTATION,
        "After this many records the next file or table is begun.",
        unit="records",
        of_output=True,
    )
    rotate_size: int | None = _setting(
        256 * 1024**2,
        Optional(Size(1), "off"),
        ROTATION,
        "At this size the next file is begun, or after rotate_lines, whichever comes first.",
        unit="bytes",
        of_output=True,
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
        'Begin the next file or table at these times: "hourly", "daily 00:00", "weekly mon 03:00".',
        of_output=True,
    )
    rotate_utc: bool = _setting(
        False,
        Flag(),
        ROTATION,
        "rotate_at means UTC, not local time.",
        of_output=True,
    )
    naming: Literal["ring", "date"] = _setting(
        "ring",
        Choice("ring", "date"),
        ROTATION,
        "What %d stands for: a number in the ring, or the date and time a file was begun. What "
        "app.log is called once it is closed: app.log.1, or app-2026-11-22.log.",
        of_output=True,
    )
    compress: Literal["none", "gzip", "zstd"] = _setting(
        "none",
        Choice("none", "gzip", "zstd"),
        ROTATION,
        "How to compress full files. The daemon does it in the background.",
        of_output=True,
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
        "Remove full files and tables when their last record is older than this.",
        unit="seconds",
        of_output=True,
    )
    keep_total_bytes: int | None = _setting(
        4 * 1024**3,
        Optional(Size(1), "off"),
        ROTATION,
        "Remove the oldest files of an output when all its files together are larger than this.",
        unit="bytes",
        of_output=True,
    )
    min_free_bytes: int = _setting(
        0,
        Size(),
        ROTATION,
        "Remove the oldest files when the disk has less free space than this, and log it. 0: off.",
        unit="bytes",
        of_output=True,
    )

    line_format: str | None = _setting(
        None,
        Optional(Text("FORMAT")),
        TEXT,
        'Text of a line: "json" for one object a line, "logfmt" for key=value pairs, or a format '
        "as for logging.Formatter: %(asctime)s %(message)s. Not set: logd's own format "
        "(logd/README.md), which is faster.",
        of_output=True,
    )
    timestamp: str | None = _setting(
        "%Y-%m-%dT%H:%M:%S.%3N%z",
        Optional(Text("FORMAT"), "none"),
        TEXT,
        "How to write times: a strftime format, with %3N for milliseconds; or std1, std2, none.",
        of_output=True,
    )
    file_names: Literal["short", "full"] = _setting(
        "short",
        Choice("short", "full"),
        TEXT,
        "How to write source files in call paths: the bare name, or with its folders.",
    )

    filter: tuple[str, ...] = _setting(
        (),
        Many(_OBJECT),
        PIPELINE,
        "Callables that get each record before it is written, in this order. They may change or "
        "drop it. A class is called with the arguments given: MODULE:CLASS?cats=E,W&limit=5.",
        hides=True,
    )
    observer: tuple[str, ...] = _setting(
        (),
        Many(_OBJECT),
        PIPELINE,
        "Callables that get each record after it was written.",
        hides=True,
    )

    tls_port: tuple[int, ...] = _setting(
        (),
        Many(_PORT, has_commas=True),
        SECURITY,
        "Ports for TLS, in addition to the plain ones. The daemon uses the first that is free.",
        reloads=False,
    )
    tls_cert: str | None = _setting(
        None, _PATH, SECURITY, "The server's certificate and its chain, a PEM file."
    )
    tls_key: str | None = _setting(
        None, _PATH, SECURITY, "The certificate's private key, a PEM file."
    )
    tls_client_ca: str | None = _setting(
        None, _PATH, SECURITY, "Authorities that may sign clients' certificates, a PEM file."
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
        "Lists of revoked certificates, a PEM file with one list per authority in "
        "tls_client_ca. A reload reads it again. If a list has expired, no client gets in.",
    )
    tls_min_version: Literal["1.2", "1.3"] = _setting(
        "1.2", Choice("1.2", "1.3"), SECURITY, "The oldest TLS version to accept."
    )
    allow: tuple[str, ...] = _setting(
        (),
        Many(
            Text("NETWORK", "an address or network such as 10.0.0.0/8", is_network),
            has_commas=True,
        ),
        SECURITY,
        "Only these networks may connect. Not set: everyone.",
    )
    token_file: str | None = _setting(
        None,
        _PATH,
        SECURITY,
        "File with the token that senders must know. The variable LOGD_TOKEN may hold the token "
        "itself. There is no option for it: other users can read the command line.",
    )

    sync: Literal["batch", "none"] = _setting(
        "batch",
        Choice("batch", "none"),
        DELIVERY,
        "When to acknowledge records. batch: they survive a crash of the machine. none: they "
        "survive a crash of the daemon only.",
        of_output=True,
    )
    queue_disk_bytes: int = _setting(
        1024**3,
        Size(0),
        DELIVERY,
        "Disk space per output for records that it can't take now. Senders go on, and the output "
        "gets the records later, in order. When this space is used up, or the disk has only "
        "min_free_bytes left, senders wait. 0: off.",
        unit="bytes",
        of_output=True,
    )
    drain_s: float = _setting(
        30.0,
        Duration(is_zero_allowed=True),
        DELIVERY,
        "When told to stop, read for at most this time what senders had already sent. Records "
        "that an output can't take by then, or within 10 seconds, wait on disk for the next start.",
        unit="seconds",
    )

    queue_bytes: int = _setting(
        64 * 1024**2,
        Size(1),
        LIMITS,
        "Memory for records that are received and not yet written. When it is full, the daemon "
        "reads no more and senders wait. Incomplete frames may take the same again. If they are "
        "more, the daemon closes connections of the peer with most of them.",
        unit="bytes",
    )
    connection_queue_bytes: int = _setting(
        4 * 1024**2,
        Size(1),
        LIMITS,
        "The same for one connection, so that a busy sender leaves room for others.",
        unit="bytes",
    )
    max_frame_bytes: int = _setting(
        1024**2,
        Size(1024),
        LIMITS,
        "Longest frame. A longer record of SocketHandler is cut to its first 64 KiB, visibly. "
        "Any other longer frame closes its connection.",
        unit="bytes",
    )
    max_connections: int = _setting(
        20_000,
        Integer(1),
        LIMITS,
        "Connections at a time. To let a new one in, the daemon closes one that has sent nothing. "
        "If there is none, it closes the new one. If the system has no descriptor left, new ones "
        "wait.",
    )
    max_connections_per_peer: int = _setting(
        0,
        Integer(0),
        LIMITS,
        "Connections of one peer: an address, or a user of the Unix socket. 0: off.",
    )
    first_frame_timeout_s: float = _setting(
        10.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Close a new connection that sends no good first frame within this time. If a token is "
        "set, the frame must have it. 0: off.",
        unit="seconds",
    )
    frame_timeout_s: float = _setting(
        30.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Close a connection whose frame takes longer than this to arrive. 0: off.",
        unit="seconds",
    )
    idle_timeout_s: float = _setting(
        0.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Close a connection that sends nothing for this time. 0: off.",
        unit="seconds",
    )
    peer_records_per_s: int = _setting(
        0,
        Integer(0),
        LIMITS,
        "Records per second from one peer. A faster peer has to wait; nothing is dropped. 0: off.",
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
        "More host names that a URL of the metrics may have. Addresses and the name of this "
        "machine are always allowed.",
        reloads=False,
    )
    control: str | None = _setting(
        None,
        _PATH,
        OPERATION,
        "Unix socket for logd status and tail -f. Not set: control.sock in state_dir.",
        reloads=False,
    )
    control_group: str | None = _setting(
        None,
        Optional(Text("GROUP")),
        OPERATION,
        "Group of the control socket. Not set: the daemon's own.",
        reloads=False,
    )
    control_mode: int | None = _setting(
        None,
        Optional(Mode()),
        OPERATION,
        "Permissions of the control socket. Users who may write to it may rotate and reload. Not "
        'set: "0600", or "0660" with control_group.',
        reloads=False,
    )
    feed: str | None = _setting(
        None,
        _PATH,
        OPERATION,
        "Unix socket that a group may use, for status and tail -f only. Not set: feed.sock in "
        "state_dir.",
        reloads=False,
    )
    feed_group: str | None = _setting(
        None,
        Optional(Text("GROUP")),
        OPERATION,
        "Group that may use the feed socket. Not set: the daemon's own.",
        reloads=False,
    )
    loop: Literal["uvloop", "asyncio"] = _setting(
        "uvloop",
        Choice("uvloop", "asyncio"),
        OPERATION,
        "The event loop. If uvloop is not installed: asyncio.",
        reloads=False,
    )
    log_level: Literal["error", "warning", "info", "debug"] = _setting(
        "info",
        Choice("error", "warning", "info", "debug"),
        OPERATION,
        "How much the daemon logs about itself, to standard error.",
    )

    web: str = _setting(
        "127.0.0.1:9803",
        Text("HOST:PORT", 'an address such as "127.0.0.1:9803"', is_host_and_port),
        WEB,
        "Address of the page. If it is given, logd serve starts the page together with the daemon.",
        reloads=False,
    )
    web_hosts: tuple[str, ...] = _setting(
        (),
        Many(Text("NAME"), has_commas=True),
        WEB,
        "More host names that a URL of the page may have. The names of this machine are always "
        "allowed.",
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
        "File with users and passwords (see logd web user). Not set: a link with a token signs in.",
        reloads=False,
    )
    web_auth_header: str | None = _setting(
        None,
        Optional(Text("HEADER")),
        WEB,
        "Header in which a trusted proxy sends the name of the user (oauth2-proxy, Authelia).",
        reloads=False,
    )
    web_trusted_proxies: tuple[str, ...] = _setting(
        (),
        Many(Text("NETWORK", 'a network such as "10.0.0.0/8"', is_network), has_commas=True),
        WEB,
        "Proxies that may send the user's name.",
        reloads=False,
    )
    web_behind_proxy: bool = _setting(
        False,
        Flag(),
        WEB,
        "A proxy does TLS, so that the page may listen on a network without it.",
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
        "Folder with more saved views, TOML files, for instance a git checkout. Read only.",
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
        "After this time a search shows what it has found. It goes on if the user asks for more.",
        unit="s",
        reloads=False,
    )
    web_workers: int = _setting(
        2,
        Integer(1, 16),
        WEB,
        "How many searches run at a time. Others wait.",
        reloads=False,
    )
    web_audit: bool = _setting(
        False, Flag(), WEB, "Log each search with its user, to standard error.", reloads=False
    )
    web_source_link: str | None = _setting(
        None,
        Optional(Text("URL")),
        WEB,
        "Link to the source of a traceback's line: a URL with {file} and {line}.",
        reloads=False,
    )

    outputs: tuple[OutputSection, ...] = field(default=(), repr=False)
    token: str | None = field(default=None, repr=False)
    sources: Sources | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (self.file or self.db or self.stdout or self.output or self.outputs):
            object.__setattr__(self, "file", (DEFAULT_FILE,))

    @property
    def state_folder(self) -> Path:
        """Where dead letters and queues go: `state_dir`, or its default if not set."""
        if self.state_dir is not None:
            return Path(self.state_dir)
        files = [*self.file, *(s.address for s in self.outputs if s.place == "file")]
        folder = Path(files[0]).parent if files else Path()
        # One for all partitions.
        while "%p" in str(folder):
            folder = folder.parent
        return folder / ".logd-state"

    def each_output(self) -> list[tuple[OutputSection, Config]]:
        """All outputs with the settings each is made with; those of the short settings first."""
        plain = [
            *(OutputSection("file", pattern) for pattern in self.file),
            *(OutputSection("db", url) for url in self.db),
            *([OutputSection("stdout", "-")] if self.stdout else []),
            *(OutputSection("output", spec) for spec in self.output),
        ]
        own = [(section, replace(self, **dict(section.own))) for section in self.outputs]
        return [*((section, self) for section in plain), *own]


class Setting(NamedTuple):
    """What is known of one setting.

    Attributes:
        name: as in `Config` and TOML.
        default: its value if nobody sets it.
        kind: how its values are read and written.
        group: heading it stands under in the usage text.
        help: what it does, for people.
        unit: what its number counts; empty if that is plain.
        reloads: a reload (SIGHUP) can change it.
        hides: values may hold passwords, so they are shown without.
        of_output: an output is made with it, and may have a value of its own.
    """

    name: str
    default: object
    kind: Kind[Any]
    group: str
    help: str
    unit: str
    reloads: bool
    hides: bool
    of_output: bool

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

OUTPUT_SETTINGS = tuple(name for name, setting in SETTINGS.items() if setting.of_output)
"""Those that an output is made with: if one of them changes, it is opened anew."""

"""The settings of records: where they come in, where they go, how they are kept and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from logd.settings.field import (
    LISTEN,
    OBJECT,
    OUTPUTS,
    PATH,
    PIPELINE,
    PORT,
    ROTATION,
    TEXT,
    setting,
)
from logd.settings.kinds import (
    Choice,
    DatabaseUrl,
    Duration,
    FilePath,
    Flag,
    Integer,
    Many,
    Mode,
    Optional,
    Size,
    Text,
    is_schedule,
)

DEFAULT_FILE = "logs/logd_%d.log"
"""Where records go when no output is named."""


# Never made by itself: methods of its own would only take each command's time.
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class RecordSettings:
    """Their part of `logd.settings.table.Config`."""

    host: tuple[str, ...] = setting(
        ("localhost",),
        Many(Text("HOST"), has_commas=True),
        LISTEN,
        "Names or addresses to listen on. 0.0.0.0 and :: stand for all addresses of this machine.",
        reloads=False,
    )
    port: tuple[int, ...] = setting(
        (9801,),
        Many(PORT, has_commas=True),
        LISTEN,
        "Ports to try. The daemon uses the first that is free on every host. 0: any free port.",
        reloads=False,
    )
    socket: str | None = setting(
        None, PATH, LISTEN, "Also listen on a Unix socket at this path.", reloads=False
    )
    socket_owner: str | None = setting(
        None, Optional(Text("USER")), LISTEN, "User that owns the Unix socket.", reloads=False
    )
    socket_group: str | None = setting(
        None, Optional(Text("GROUP")), LISTEN, "Group of the Unix socket.", reloads=False
    )
    socket_mode: int = setting(
        0o660,
        Mode(),
        LISTEN,
        "Permissions of the Unix socket. Users who may write to it may log.",
        reloads=False,
    )

    file: tuple[str, ...] = setting(
        (),
        Many(FilePath("PATTERN")),
        OUTPUTS,
        "Write to rotating text files. With app.log, app.log always has the newest records. With "
        f"app_%d.log, %d is the number of the file. If no output is set: {DEFAULT_FILE}.",
    )
    db: tuple[str, ...] = setting(
        (),
        Many(DatabaseUrl()),
        OUTPUTS,
        "Write to rotating tables of this database, an SQLAlchemy URL. Other users can read the "
        "command line: put passwords into the settings file or LOGD_DB.",
        hides=True,
    )
    stdout: bool = setting(False, Flag(), OUTPUTS, "Write to standard output.")
    output: tuple[str, ...] = setting(
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
        "Write to an engine (nats:URL, see logd/engine/README.md), or to an output of another "
        "package: its name, and the address that it expects.",
        hides=True,
    )
    table_pattern: str = setting(
        "log_%d",
        Text("PATTERN"),
        OUTPUTS,
        "Names of database tables; %d is their number.",
        of_output=True,
    )
    columns: tuple[str, ...] = setting(
        (),
        Many(Text("NAME:TYPE", 'text such as "user:String(64)" or "amount:Integer"')),
        OUTPUTS,
        "More database columns. Each is filled from the item of the same name in a record. "
        "Types: Text, String(64), Integer, BigInteger, Float.",
        of_output=True,
    )
    text_index: bool = setting(
        False,
        Flag(),
        OUTPUTS,
        "Give new tables an index of all triples of letters in their messages. With it, rare "
        "texts are found without reading all rows; writing takes longer, and the database needs"
        " more space. For SQLite, and for PostgreSQL with its extension pg_trgm: see "
        "logd/README.md.",
        of_output=True,
    )
    shared_marks: bool = setting(
        False,
        Flag(),
        OUTPUTS,
        "Several daemons write to one PostgreSQL or MariaDB, each to tables of its own "
        "(table_pattern). In the database they tell each other which records of each client are"
        " stored, so that a client may go on at any of them. Such a daemon has no other output "
        "and keeps nothing of clients on disk.",
        reloads=False,
    )
    source: str | None = setting(
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
        "Take records from an engine (nats:URL, see logd/engine/README.md) instead of "
        "listening. Each of its partitions gets a log of its own: %p in file or table_pattern "
        "is its number.",
        reloads=False,
        hides=True,
    )
    standby: Literal["wait", "fail"] = setting(
        "wait",
        Choice("wait", "fail"),
        OUTPUTS,
        "If another daemon with the same source writes to the same log: wait until that one is "
        "gone, or fail at the start.",
        reloads=False,
    )
    engine_keep_s: float = setting(
        3600.0,
        Duration(is_zero_allowed=True),
        OUTPUTS,
        "How long the engine keeps records after all stores have written them. Until then they "
        "can be read again.",
        unit="s",
        reloads=False,
    )
    engine_retry_s: float = setting(
        43_200.0,
        Duration(),
        OUTPUTS,
        "How long the daemon tries again if an engine, or a database with shared_marks, stores "
        "nothing while clients wait. After that it exits with status 1 and should be started "
        "again: if it went on, records might be stored twice. Nothing is lost, because the "
        "clients still have them. Less than a day.",
        unit="s",
        reloads=False,
    )
    engine_durable: Literal["always", "lazy"] = setting(
        "always",
        Choice("always", "lazy"),
        OUTPUTS,
        "Which engines to write to (output nats:...). always: only engines that sync what they "
        "acknowledge to disk (sync_interval: always). lazy: any engine; if all its servers lose"
        " power at once, acknowledged records of the last two minutes may be lost.",
        reloads=False,
        of_output=True,
    )
    state_dir: str | None = setting(
        None,
        PATH,
        OUTPUTS,
        "Folder for dead letters (records that an output refused) and for records that wait for"
        " an output. Not set: .logd-state beside the first log file.",
        reloads=False,
    )

    rotate_count: int = setting(
        10,
        Integer(1),
        ROTATION,
        "How many files or tables to keep. When all are full, the oldest is overwritten.",
        of_output=True,
    )
    rotate_lines: int | None = setting(
        1_000_000,
        Optional(Integer(1), "off"),
        ROTATION,
        "Begin the next file or table after this many records.",
        unit="records",
        of_output=True,
    )
    rotate_size: int | None = setting(
        256 * 1024**2,
        Optional(Size(1), "off"),
        ROTATION,
        "Begin the next file at this size, or after rotate_lines, whichever comes first.",
        unit="bytes",
        of_output=True,
    )
    rotate_at: str | None = setting(
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
    rotate_utc: bool = setting(
        False,
        Flag(),
        ROTATION,
        "rotate_at means UTC, not local time.",
        of_output=True,
    )
    naming: Literal["ring", "date"] = setting(
        "ring",
        Choice("ring", "date"),
        ROTATION,
        "How files are named. ring: %d is a number that comes round again, and a full app.log "
        "becomes app.log.1. date: %d is the date and time when a file was begun, and a full "
        "app.log becomes app-2026-11-22.log.",
        of_output=True,
    )
    compress: Literal["none", "gzip", "zstd"] = setting(
        "none",
        Choice("none", "gzip", "zstd"),
        ROTATION,
        "How to compress full files. The daemon does it in the background.",
        of_output=True,
    )
    index: bool = setting(
        True,
        Flag(),
        ROTATION,
        "Make an index beside each file, in a process of low priority. With it, logd finds "
        "times and counts entries without reading the whole log.",
    )
    keep_age_s: float | None = setting(
        None,
        Optional(Duration(), "off"),
        ROTATION,
        "Remove full files and tables when their last record is older than this.",
        unit="seconds",
        of_output=True,
    )
    keep_total_bytes: int | None = setting(
        4 * 1024**3,
        Optional(Size(1), "off"),
        ROTATION,
        "Remove the oldest files of an output when all its files together are larger than this.",
        unit="bytes",
        of_output=True,
    )
    min_free_bytes: int = setting(
        0,
        Size(),
        ROTATION,
        "Remove the oldest files when the disk has less free space than this, and log it. 0: off.",
        unit="bytes",
        of_output=True,
    )

    line_format: str | None = setting(
        None,
        Optional(Text("FORMAT")),
        TEXT,
        'Text of a line: "json" for one object per line, "logfmt" for key=value pairs, or a '
        "format as for logging.Formatter: %(asctime)s %(message)s. Not set: logd's own format "
        "(logd/README.md), which is faster.",
        of_output=True,
    )
    timestamp: str | None = setting(
        "%Y-%m-%dT%H:%M:%S.%3N%z",
        Optional(Text("FORMAT"), "none"),
        TEXT,
        "How to write times: a strftime format, with %3N for milliseconds; or std1, std2, none.",
        of_output=True,
    )
    file_names: Literal["short", "full"] = setting(
        "short",
        Choice("short", "full"),
        TEXT,
        "How to write source files in call paths: the bare name, or with its folders.",
    )

    filter: tuple[str, ...] = setting(
        (),
        Many(OBJECT),
        PIPELINE,
        "Callables that get each record before it is written, in this order. They may change or "
        "drop it. A class is called with the arguments given: MODULE:CLASS?cats=E,W&limit=5.",
        hides=True,
    )
    observer: tuple[str, ...] = setting(
        (),
        Many(OBJECT),
        PIPELINE,
        "Callables that get each record after it was written.",
        hides=True,
    )

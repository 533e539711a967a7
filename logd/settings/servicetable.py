"""The settings of the service: who may send, what is promised, limits, operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from logd.settings.field import DELIVERY, LIMITS, OPERATION, PATH, PORT, SECURITY, setting
from logd.settings.kinds import (
    Choice,
    Duration,
    Integer,
    Many,
    Mode,
    Optional,
    Size,
    Text,
    is_host_and_port,
    is_network,
)


# Never made by itself: methods of its own would only take each command's time.
@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ServiceSettings:
    """Their part of `logd.settings.table.Config`."""

    tls_port: tuple[int, ...] = setting(
        (),
        Many(PORT, has_commas=True),
        SECURITY,
        "Ports for TLS, in addition to the plain ones. The daemon uses the first that is free.",
        reloads=False,
    )
    tls_cert: str | None = setting(
        None, PATH, SECURITY, "The server's certificate and its chain, a PEM file."
    )
    tls_key: str | None = setting(
        None, PATH, SECURITY, "The certificate's private key, a PEM file."
    )
    tls_client_ca: str | None = setting(
        None, PATH, SECURITY, "Authorities that may sign clients' certificates, a PEM file."
    )
    tls_client_certs: Literal["none", "optional", "required"] = setting(
        "none",
        Choice("none", "optional", "required"),
        SECURITY,
        "Whether clients must show a certificate.",
    )
    tls_crl: str | None = setting(
        None,
        PATH,
        SECURITY,
        "Lists of revoked certificates, a PEM file with one list per authority in "
        "tls_client_ca. A reload reads it again. If a list has expired, no client gets in.",
    )
    tls_min_version: Literal["1.2", "1.3"] = setting(
        "1.2", Choice("1.2", "1.3"), SECURITY, "The oldest TLS version to accept."
    )
    allow: tuple[str, ...] = setting(
        (),
        Many(
            Text("NETWORK", "an address or network such as 10.0.0.0/8", is_network),
            has_commas=True,
        ),
        SECURITY,
        "Only these networks may connect. Not set: everyone.",
    )
    token_file: str | None = setting(
        None,
        PATH,
        SECURITY,
        "File with the token that senders must know. The variable LOGD_TOKEN may hold the token "
        "itself. There is no option for it: other users can read the command line.",
    )

    sync: Literal["batch", "none"] = setting(
        "batch",
        Choice("batch", "none"),
        DELIVERY,
        "When to acknowledge records. batch: they survive a crash of the machine. none: they "
        "survive a crash of the daemon only.",
        of_output=True,
    )
    queue_disk_bytes: int = setting(
        1024**3,
        Size(0),
        DELIVERY,
        "Disk space per output for records that it can't take now. Senders go on, and the "
        "output gets the records later, in order. When this space is used up, or the disk has "
        "only min_free_bytes left, senders wait. Another area of the same size holds what "
        "programs with SocketHandler send faster than the daemon can decode it. 0: off.",
        unit="bytes",
        of_output=True,
    )
    drain_s: float = setting(
        30.0,
        Duration(is_zero_allowed=True),
        DELIVERY,
        "When told to stop, the daemon still reads what senders had already sent, and writes "
        "it, for at most this time. An output gets at most 10 seconds of it. Records that it "
        "could not take wait on disk for the next start.",
        unit="seconds",
    )

    queue_bytes: int = setting(
        64 * 1024**2,
        Size(1),
        LIMITS,
        "Memory for records that are received and not yet written. When it is full, the daemon "
        "reads no more and senders wait. Frames of which only a part has come may take the same"
        " amount again. If they take more, the daemon closes connections of the peer that has "
        "most of them.",
        unit="bytes",
    )
    connection_queue_bytes: int = setting(
        4 * 1024**2,
        Size(1),
        LIMITS,
        "The same for one connection, so that a busy sender leaves room for others.",
        unit="bytes",
    )
    max_frame_bytes: int = setting(
        1024**2,
        Size(1024),
        LIMITS,
        "Longest frame: what a sender sends as one piece, a record or a batch. A longer record "
        "of SocketHandler is cut to its first 64 KiB, visibly. Any other longer frame closes "
        "its connection.",
        unit="bytes",
    )
    max_connections: int = setting(
        20_000,
        Integer(1),
        LIMITS,
        "How many connections may be open at a time. At this number the daemon closes one that "
        "has sent nothing to let a new one in; if there is none, it closes the new one. If the "
        "system has no file descriptor left, new ones wait.",
    )
    max_connections_per_peer: int = setting(
        0,
        Integer(0),
        LIMITS,
        "Connections of one peer: an address, or a user of the Unix socket. 0: off.",
    )
    max_sessions: int = setting(
        65_536,
        Integer(16),
        LIMITS,
        "How many sessions each log remembers. Each process of each application is one. A "
        "session is forgotten a day after it was last seen, or earlier if there are more than "
        "this: if it then sends records again, they may be written twice. Each takes about 32 "
        "bytes beside the log and 500 bytes of memory.",
        reloads=False,
    )
    first_frame_timeout_s: float = setting(
        10.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Close a new connection that sends no valid first frame within this time. If a token is"
        " set, the frame must have it. 0: off.",
        unit="seconds",
    )
    frame_timeout_s: float = setting(
        30.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Close a connection whose frame takes longer than this to arrive. 0: off.",
        unit="seconds",
    )
    idle_timeout_s: float = setting(
        0.0,
        Duration(is_zero_allowed=True),
        LIMITS,
        "Close a connection that sends nothing for this time. 0: off.",
        unit="seconds",
    )
    peer_records_per_s: int = setting(
        0,
        Integer(0),
        LIMITS,
        "Records per second from one peer. A faster peer has to wait; nothing is dropped. 0: off.",
        unit="records/s",
    )

    metrics: str | None = setting(
        None,
        Optional(Text("HOST:PORT", 'an address such as "localhost:9802"', is_host_and_port)),
        OPERATION,
        "Serve Prometheus metrics, /healthz and /readyz on this address.",
        reloads=False,
    )
    metrics_hosts: tuple[str, ...] = setting(
        (),
        Many(Text("NAME"), has_commas=True),
        OPERATION,
        "More host names that a URL of the metrics may have. Addresses and the name of this "
        "machine are always allowed.",
        reloads=False,
    )
    control: str | None = setting(
        None,
        PATH,
        OPERATION,
        "Unix socket for logd status and logd tail -f. Not set: control.sock in state_dir.",
        reloads=False,
    )
    control_group: str | None = setting(
        None,
        Optional(Text("GROUP")),
        OPERATION,
        "Group of the control socket. Not set: the daemon's own.",
        reloads=False,
    )
    control_mode: int | None = setting(
        None,
        Optional(Mode()),
        OPERATION,
        "Permissions of the control socket. Users who may write to it may rotate and reload. Not "
        'set: "0600", or "0660" with control_group.',
        reloads=False,
    )
    feed: str | None = setting(
        None,
        PATH,
        OPERATION,
        "Unix socket that a group may use, only for logd status and logd tail -f. Not set: "
        "feed.sock in state_dir.",
        reloads=False,
    )
    feed_group: str | None = setting(
        None,
        Optional(Text("GROUP")),
        OPERATION,
        "Group that may use the feed socket. Not set: the daemon's own.",
        reloads=False,
    )
    loop: Literal["uvloop", "asyncio"] = setting(
        "uvloop",
        Choice("uvloop", "asyncio"),
        OPERATION,
        "The event loop. If uvloop is not installed: asyncio.",
        reloads=False,
    )
    log_level: Literal["error", "warning", "info", "debug"] = setting(
        "info",
        Choice("error", "warning", "info", "debug"),
        OPERATION,
        "How much the daemon logs about itself, to standard error.",
    )

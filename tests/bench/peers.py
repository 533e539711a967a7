"""The peers that write text files, each with the settings that were found best for it.

A `Receiver` says how a server is started and in which form it wants its records. All write the
same line; see the README for why each setting is as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import debian, encoders
from tests.bench.processes import Server

ROTATE_BYTES = 177_000_000
"""Files of the peers that rotate by size are about as long as logd's million lines."""

LOG_PATTERN = "out*.log*"
"""Names of the files that receivers write in their folder."""

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Receiver:
    """A server that takes records over TCP and writes them to files in a folder.

    Attributes:
        name: how the table calls it.
        encode: makes what it is sent.
        start: starts it in a folder on a port; it may not be ready yet.
    """

    name: str
    encode: encoders.Encoder
    start: Callable[[Path, int], Server]


def rsyslog(module: str) -> Receiver:
    """Rsyslog with its input module `imptcp` or `imtcp`."""

    def start(folder: Path, port: int) -> Server:
        return rsyslog_server(
            folder,
            port,
            module,
            'template(name="line" type="string" string="%timereported:::date-rfc3339%'
            " %app-name% %procid%#%msgid% %msg%\\t%structured-data:F,34:2%"
            '\\t%structured-data:F,34:4%\\t%structured-data:F,34:6%\\t\\n")\n',
            f'action(type="omfile" file="{folder}/out.log" template="line" '
            'ioBufferSize="256k" flushOnTXEnd="on" asyncWriting="off" '
            f'rotation.sizeLimit="{ROTATE_BYTES}" '
            f'rotation.sizeLimitCommand="{_rotation_script(folder)}")',
        )

    return Receiver(f"rsyslog {module}", encoders.syslog, start)


def rsyslog_server(
    folder: Path, port: int, module: str, definitions: str, action: str, *, log_module: str = ""
) -> Server:
    """Start rsyslog with one input, its main queue and one action.

    Raises:
        PeerMissing: it is not to be had here.
    """
    root = debian.unpacked("rsyslog", "rsyslog-pgsql")
    configuration = folder / "rsyslog.conf"
    configuration.write_text(
        f'global(workDirectory="{folder}" net.enableDNS="off" maxMessageSize="64k" '
        'parser.escapeControlCharactersOnReceive="on")\n'
        'main_queue(queue.type="FixedArray" queue.size="200000" queue.dequeueBatchSize="4096" '
        'queue.workerThreads="1" queue.timeoutShutdown="20000")\n'
        f'module(load="{module}")\n{log_module}\n{definitions}\n'
        f'input(type="{module}" address="127.0.0.1" port="{port}" ruleset="bench")\n'
        f'ruleset(name="bench") {{\n{action}\n}}\n'
    )
    modules = debian.libraries(root) / "rsyslog"
    return Server(
        [
            str(root / "usr/sbin/rsyslogd"),
            "-n",
            *("-f", str(configuration)),
            *("-i", str(folder / "rsyslog.pid")),
            *("-M", str(modules)),
        ],
        folder,
        debian.environment(root),
    )


def syslog_ng() -> Receiver:
    """syslog-ng; it has no rotation of its own."""

    def start(folder: Path, port: int) -> Server:
        return syslog_ng_server(
            folder,
            port,
            f'file("{folder}/out.log" template("${{ISODATE}} ${{PROGRAM}} ${{PID}}#${{MSGID}}'
            " ${MSGONLY}\\t${.SDATA.logd@32473.thread}\\t${.SDATA.logd@32473.func}"
            '\\t${.SDATA.logd@32473.path}\\t\\n") '
            "flush-lines(1000) log-fifo-size(200000))",
        )

    return Receiver("syslog-ng", encoders.syslog, start)


def syslog_ng_server(folder: Path, port: int, destination: str) -> Server:
    """Start syslog-ng with one TCP source and one destination.

    Raises:
        PeerMissing: it is not to be had here.
    """
    root = debian.unpacked("syslog-ng-core", "syslog-ng-mod-sql", "libdbd-pgsql")
    configuration = folder / "syslog-ng.conf"
    configuration.write_text(
        "@version: 3.38\n"
        "options { threaded(yes); keep-timestamp(yes); keep-hostname(yes); use-dns(no); "
        "frac-digits(3); stats-freq(0); };\n"
        f'source tcp {{ syslog(transport("tcp") ip(127.0.0.1) port({port}) max-connections(1000) '
        "log-iw-size(100000) log-fetch-limit(1000) so-rcvbuf(4194304)); };\n"
        f"destination out {{ {destination}; }};\n"
        "log { source(tcp); destination(out); flags(flow-control); };\n"
    )
    return Server(
        [
            str(root / "usr/sbin/syslog-ng"),
            "--foreground",
            "--no-caps",
            f"--cfgfile={configuration}",
            f"--persist-file={folder / 'syslog-ng.persist'}",
            f"--pidfile={folder / 'syslog-ng.pid'}",
            f"--control={folder / 'syslog-ng.ctl'}",
            f"--module-path={root / 'usr/lib/syslog-ng/3.38'}",
        ],
        folder,
        debian.environment(root),
    )


def standard_receiver(*, buffered: bool = False) -> Receiver:
    """The logging cookbook's `ThreadingTCPServer` with `RotatingFileHandler`, or a quicker one."""
    options = ["buffered"] if buffered else []

    def start(folder: Path, port: int) -> Server:
        module = "tests.bench.standard_receiver"
        return Server(
            [sys.executable, "-m", module, str(port), str(folder), *options],
            folder,
            {"PYTHONPATH": str(REPOSITORY)},
        )

    name = "standard library" + (", buffered" if buffered else "")
    return Receiver(name, encoders.socket_handler, start)


def _rotation_script(folder: Path) -> Path:
    """A script that moves the full file out of the way; rsyslog leaves that to its user."""
    script = folder / "rotate.sh"
    script.write_text(f'#!/bin/sh\nmv {folder}/out.log "{folder}/out.log.$(date +%s%N)"\n')
    script.chmod(0o755)
    return script

"""Which settings fit together, and which deserve a warning. Pure: values in, sentences out.

A single value is checked by its kind when it is read; here are rules about several of them.
Outputs, filters and observers check their own arguments when they are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from logd.settings.loopback import is_loopback
from logd.settings.secrets import MASK, Secret, is_masked, reveal
from logd.settings.table import READABLE_FORMATS, Config
from logd_client.sizes import MAX_FRAME_BYTES

MIN_TOKEN_LENGTH = 16
MARKS_KEPT_S = 86_400.0
_SHARING = ("postgresql", "postgres", "mysql", "mariadb")


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        name: the setting to change.
        text: what is wrong with it, for people.
    """

    name: str
    text: str


def problems(config: Config) -> list[Problem]:
    """All that does not fit together; empty if the daemon may start with it."""
    return [
        *_listening(config),
        *_source(config),
        *_retrying(config),
        *_tls(config),
        *_outputs(config),
        *_shared_marks(config),
        *_limits(config),
    ]


def warnings(config: Config, hosts: Sequence[str] | None = None) -> list[str]:
    """What to tell an operator whose settings are right but may not be meant so.

    Args:
        config: the settings in force.
        hosts: as for `exposure_warning`.
    """
    found = (
        exposure_warning(config, hosts),
        token_warning(config, hosts),
        short_token_warning(config),
        frame_warning(config),
        own_format_warning(config),
        lazy_engine_warning(config),
    )
    return [warning for warning in found if warning is not None]


def exposure_warning(config: Config, hosts: Sequence[str] | None = None) -> str | None:
    """A warning for a daemon that lets strangers log: plain TCP beyond this machine, open to all.

    Args:
        config: the settings in force.
        hosts: addresses that really listen without TLS (inherited sockets); as configured
            if None.
    """
    exposed = _exposed(config, hosts)
    if not exposed or config.token is not None or config.allow:
        return None
    return (
        f"anyone who can reach {', '.join(exposed)} can write to this log, and anyone on the way "
        "can read what others send: set tls_port with tls_client_certs, a token (token_file) or "
        "a list of networks (allow)"
    )


def token_warning(config: Config, hosts: Sequence[str] | None = None) -> str | None:
    """A warning for a token that crosses the network in plain text."""
    exposed = _exposed(config, hosts)
    if not exposed or config.token is None:
        return None
    return (
        f"senders send the token to {', '.join(exposed)} in plain text, and anyone who reads it on "
        "the way can write to this log: use tls_port, and let port listen on localhost only"
    )


def short_token_warning(config: Config) -> str | None:
    """A warning for a token that can be guessed."""
    if config.token is None or len(config.token) >= MIN_TOKEN_LENGTH:
        return None
    return (
        f"the token has {len(config.token)} characters and can be guessed: take "
        f"{MIN_TOKEN_LENGTH} or more, such as those of: openssl rand -hex 32"
    )


def _exposed(config: Config, hosts: Sequence[str] | None) -> list[str]:
    """Where it listens without TLS beyond this machine."""
    if hosts is None:
        hosts = config.host if config.port else ()
    return [host or "*" for host in hosts if not is_loopback(host)]


def frame_warning(config: Config) -> str | None:
    """A warning for a limit below the frames that our own client may send."""
    if config.max_frame_bytes >= MAX_FRAME_BYTES:
        return None
    return (
        f"max_frame_bytes {config.max_frame_bytes} is less than {MAX_FRAME_BYTES}: batches of "
        "logd_client that are longer, or longer when written, will be refused or cut"
    )


def lazy_engine_warning(config: Config) -> str | None:
    """What to tell users that accept an engine that acknowledges before it syncs."""
    engines = [one for one in config.output if str(reveal(one)).startswith("nats:")]
    if not engines or config.engine_durable != "lazy":
        return None
    return (
        "engine_durable is lazy: if all servers of the engine lose power at once, acknowledged "
        "records of the last two minutes may be lost"
    )


def own_format_warning(config: Config) -> str | None:
    """What to tell users of a format whose lines do not say what is what: they will search them."""
    formats = {own.line_format for section, own in config.each_output() if section.place == "file"}
    if formats <= {*READABLE_FORMATS}:
        return None
    return (
        "line_format is a format of your own: only texts can be searched in the files, not "
        'categories, times or items; the default, "json" and "logfmt" lose nothing'
    )


def _retrying(config: Config) -> Iterator[Problem]:
    if config.engine_retry_s >= MARKS_KEPT_S:
        # A store that has forgotten a session takes what it sent long ago for new.
        yield Problem(
            "engine_retry_s", f"must be under {MARKS_KEPT_S:g} s, the time that marks are kept"
        )


def _source(config: Config) -> Iterator[Problem]:
    """A ring for each partition: one output, whose name has the partition in it."""
    outputs = config.each_output()
    for section, own in outputs:
        name, text = section.place, reveal(section.address)
        if name == "db":
            name, text = "table_pattern", own.table_pattern
        if config.source is None:
            continue
        if name == "stdout":
            yield Problem(name, "can't keep how far a source was read: use file or db")
        elif "%p" not in text:
            yield Problem(name, "needs %p, the number of the partition, with a source")
        if section.select is not None:
            yield Problem("outputs", "can't have select with a source: set filter")
    if config.source is None:
        return
    if is_masked(config.source):
        yield Problem("source", f"has {MASK} for a hidden secret: put it in again")
    if config.shared_marks:
        yield Problem("shared_marks", "can't be set with source: each partition has its own marks")
    if len(outputs) != 1:
        yield Problem("source", "needs one output, that gets a log for each partition")


def _listening(config: Config) -> Iterator[Problem]:
    if config.source is not None:
        return
    if not (config.port or config.tls_port or config.socket):
        yield Problem("port", "nothing to listen on: set port, tls_port or socket")
    if (config.port or config.tls_port) and not config.host:
        yield Problem("host", 'names no host to listen on; "localhost" is the default')
    both = sorted({*config.port} & {*config.tls_port} - {0})
    if both:
        yield Problem(
            "tls_port", f"{both[0]} is in port too: plain and TLS need ports of their own"
        )
    for name in ("socket_owner", "socket_group"):
        if getattr(config, name) is not None and config.socket is None:
            yield Problem(name, "needs socket, which is not set")
    if config.control is not None and config.control == config.socket:
        yield Problem("control", f"is the same path as socket: {config.control}")


def _tls(config: Config) -> Iterator[Problem]:
    if config.tls_cert is None and config.tls_port:
        yield Problem("tls_port", "needs tls_cert and tls_key, the certificate to show to clients")
    if (config.tls_cert is None) != (config.tls_key is None):
        present, absent = ("tls_cert", "tls_key") if config.tls_cert else ("tls_key", "tls_cert")
        yield Problem(present, f"needs {absent}, which is not set")
    if config.tls_client_certs != "none" and config.tls_client_ca is None:
        yield Problem("tls_client_certs", "needs tls_client_ca, to check the certificates with")
    if config.tls_crl is not None and config.tls_client_ca is None:
        yield Problem("tls_crl", "needs tls_client_ca, whose certificates it takes back")
    if config.tls_client_ca is not None and config.tls_client_certs == "none":
        yield Problem(
            "tls_client_ca",
            'does nothing while tls_client_certs is "none": "optional" or "required"',
        )


def _outputs(config: Config) -> Iterator[Problem]:
    for name in ("file", "db", "output", "filter", "observer"):
        values = getattr(config, name)
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            what = "the same value" if isinstance(twice, Secret) else twice
            yield Problem(name, f"has {what} twice")
    for name in ("db", "output", "filter", "observer"):
        for value in getattr(config, name):
            if is_masked(value):
                yield Problem(name, f"has {MASK} for a hidden secret: put it in again")


def _shared_marks(config: Config) -> Iterator[Problem]:
    if not config.shared_marks:
        return
    others = [name for name in ("file", "output") if getattr(config, name)]
    others += ["stdout"] if config.stdout else []
    others += ["outputs"] if config.outputs else []
    if others:
        # What the other daemons store is not there, and would be lost for that output.
        yield Problem("shared_marks", f"can't be set with {', '.join(others)}, only with db")
    databases = [str(reveal(url)).partition("://")[0].partition("+")[0] for url in config.db]
    if len(databases) != 1 or databases[0] not in _SHARING:
        yield Problem("shared_marks", "needs one db, a PostgreSQL, MariaDB or MySQL")


def _limits(config: Config) -> Iterator[Problem]:
    for smaller, larger in (
        ("max_frame_bytes", "connection_queue_bytes"),
        ("connection_queue_bytes", "queue_bytes"),
        ("max_connections_per_peer", "max_connections"),
    ):
        small, large = getattr(config, smaller), getattr(config, larger)
        if small > large:
            yield Problem(smaller, f"{small} is more than {larger} allows, {large}")

"""Metrics of a real daemon over HTTP, health and readiness, and clients that behave badly."""

from __future__ import annotations

import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from logd.daemon.httpserver import MAX_CONNECTIONS, MAX_HEAD_BYTES, is_known_host
from tests.clients import Connect
from tests.daemon_process import DaemonProcess, running

PATIENCE_S = 60.0
Values = dict[tuple[str, str], float]


def base(daemon: DaemonProcess) -> str:
    """The address of the metrics, without a path."""
    match = re.search(r"metrics on (http://\S+)/metrics", daemon.output)
    assert match is not None
    return match[1]


def place(daemon: DaemonProcess) -> tuple[str, int]:
    """The same for a socket."""
    host, port = base(daemon).removeprefix("http://").rsplit(":", 1)
    return host, int(port)


def get(daemon: DaemonProcess, path: str, accept: str = "") -> tuple[int, str, str]:
    """Status, content type and body."""
    request = urllib.request.Request(base(daemon) + path, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.headers["Content-Type"], exc.read().decode()


def values(text: str) -> Values:
    """Name and output of each sample, with its value."""
    return {
        (sample.name, sample.labels.get("output", "")): sample.value
        for family in families(text)
        for sample in family.samples
    }


def wait_values(daemon: DaemonProcess, condition: Callable[[Values], Any]) -> Values:
    """Read the metrics till the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition(found := values(get(daemon, "/metrics")[2])):
        assert time.monotonic() < deadline, found
    return found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """One daemon for several tests."""
    folder = tmp_path_factory.mktemp("metrics")
    outputs = ("--stdout", "--file", "logs/logd_%d.log")
    with running("--metrics", "127.0.0.1:0", *outputs, folder=folder) as process:
        yield process


def test_what_was_sent_is_counted(daemon: DaemonProcess, connect: Connect) -> None:
    """Records, bytes and connections count up; each output has a label of its own."""
    log = connect(daemon.port)
    for _ in range(50):
        log("hello")
    assert log.flush(PATIENCE_S)
    output = "file logs/logd_%d.log"
    found = wait_values(daemon, lambda now: now["logd_output_records_total", "stdout"] >= 50)
    assert found["logd_records_total", ""] == 50
    assert found["logd_received_bytes_total", ""] > 50
    assert found["logd_connections", ""] == found["logd_sessions", ""] == 1
    assert found["logd_output_records_total", output] == 50
    assert found["logd_output_failing", output] == 0
    assert found["logd_output_current_bytes", output] > 50
    assert found["logd_queue_limit_bytes", ""] == 64 << 20
    assert found["process_resident_memory_bytes", ""] > 1 << 20


def test_both_text_formats_are_valid(daemon: DaemonProcess) -> None:
    """Prometheus' own parsers read what is sent; names carry units and _total by convention."""
    status, content_type, text = get(daemon, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    names = {family.name for family in families(text)}
    assert all(name.startswith(("logd", "process_")) for name in names)
    accept = "application/openmetrics-text; version=1.0.0"
    status, content_type, text = get(daemon, "/metrics", accept)
    assert content_type.startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics(text)}  # type: ignore[no-untyped-call]
    assert text.endswith("# EOF\n")


def test_health_readiness_and_other_paths(daemon: DaemonProcess) -> None:
    """The daemon is alive and ready; other paths are not there, other methods are refused."""
    assert get(daemon, "/healthz")[::2] == (200, "alive\n")
    assert get(daemon, "/readyz?full=1")[::2] == (200, "ready\n")
    assert get(daemon, "/")[0] == 404
    with socket.create_connection(place(daemon)) as sock:
        sock.sendall(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")
        assert sock.recv(100).startswith(b"HTTP/1.1 405 ")
    with socket.create_connection(place(daemon)) as sock:
        sock.sendall(b"HEAD /healthz HTTP/1.0\r\n\r\n")
        data = sock.makefile("rb").read()
        assert data.startswith(b"HTTP/1.1 200 ")
        assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"\x80\x04\x95\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 2 * MAX_HEAD_BYTES, b"400"),
        (b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * MAX_HEAD_BYTES, b"400"),
    ],
    ids=["no request", "HTTP/0.9", "bytes", "long line", "long head"],
)
def test_nonsense_is_refused(daemon: DaemonProcess, sent: bytes, status: bytes) -> None:
    """What is no request of a bounded size is answered with an error, and that is all."""
    with socket.create_connection(place(daemon)) as sock:
        sock.settimeout(PATIENCE_S)
        data = b""
        try:
            sock.sendall(sent)
            data = sock.recv(100)
        except ConnectionError:
            # Closed before all of it was sent; the answer may be gone with it.
            assert status == b"400"
        assert not data or data.split(b" ")[1] == status
    assert get(daemon, "/healthz")[0] == 200


def test_silent_connections_keep_nobody_out(daemon: DaemonProcess) -> None:
    """However many say nothing, a health check is answered; the oldest of them go."""
    held = [socket.create_connection(place(daemon)) for _ in range(3 * MAX_CONNECTIONS)]
    for _ in range(3):
        assert get(daemon, "/healthz")[::2] == (200, "alive\n")
    for sock in held[:MAX_CONNECTIONS]:
        sock.settimeout(PATIENCE_S)
        try:
            assert sock.recv(1) == b""
        except ConnectionError:
            pass
    for sock in held:
        sock.close()


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=9x",
        "application/openmetrics-text; version=1.0.0; q=x; escaping=\x80",
        "text/plain;version=\u0661",
        ";;;,,,version=",
        "a" * 10_000,
    ],
)
def test_a_hostile_accept_header_is_no_error(daemon: DaemonProcess, accept: str) -> None:
    """Whatever is asked for, a valid format is sent and the daemon's log stays empty."""
    seen = len(daemon.lines)
    with socket.create_connection(place(daemon)) as sock:
        sock.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
        sock.settimeout(PATIENCE_S)
        assert sock.makefile("rb").readline().split(b" ")[1] in (b"200", b"421", b"400")
    status, _, _ = get(daemon, "/metrics", accept.encode("ascii", "ignore").decode())
    assert status == 200
    assert daemon.lines[seen:] == []


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost", True),
        ("LOCALHOST:9802", True),
        ("metrics.example.org.:80", True),
        ("127.0.0.1:1", True),
        ("[::1]:9802", True),
        ("[fe80::1%25eth0]", True),
        ("attacker.example.org", False),
        ("attacker.example.org:9802", False),
        ("127.0.0.1.attacker.example.org", False),
        ("localhost.attacker.example.org", False),
    ],
)
def test_only_known_hosts_are_answered(host: str, is_known: bool) -> None:
    """An address, or a name that is the daemon's: no stranger's page reads it by its own name."""
    assert is_known_host(host, frozenset({"localhost", "metrics.example.org"})) is is_known


def test_another_host_is_refused(daemon: DaemonProcess) -> None:
    """A request for another name gets none of what the daemon knows."""
    with socket.create_connection(place(daemon)) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: attacker.example.org\r\n\r\n")
        sock.settimeout(PATIENCE_S)
        assert b" 421 " in sock.makefile("rb").readline()


def test_bad_frames_are_counted(daemon: DaemonProcess) -> None:
    """A frame over the limit counts as a bad frame and as a fault."""
    before = values(get(daemon, "/metrics")[2])
    with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
        sock.settimeout(PATIENCE_S)
        sock.sendall(b"\x00\x50\x00\x00[]")
        assert sock.recv(1) == b""
    after = values(get(daemon, "/metrics")[2])
    for name in ("logd_bad_frames_total", "logd_faults_total"):
        assert after[name, ""] == before[name, ""] + 1


def test_an_output_that_fails_shows_and_readiness_ends_with_the_queues_room(
    tmp_path: Path, postgresql: Any, connect: Connect
) -> None:
    """Failing alone the daemon stays ready; once the queue is full it takes no more records."""
    options = ("--db", postgresql.url, "--table-pattern", postgresql.pattern)
    limits = ("--queue-bytes", "2 MiB", "--connection-queue-bytes", "1 MiB")
    disk = ("--queue-disk-bytes", "0")
    with running(*options, *limits, *disk, "--metrics", "localhost:0", folder=tmp_path) as daemon:
        log = connect(daemon.port)
        log("fits")
        assert log.flush(PATIENCE_S)
        postgresql.take_away()
        log("has no place")
        name = f"db {postgresql.url} {postgresql.pattern}"
        found = wait_values(daemon, lambda now: now["logd_output_failing", name])
        assert found["logd_output_waiting_records", name] > 0
        assert found["logd_output_lag_seconds", name] > 0
        status, _, text = get(daemon, "/readyz")
        assert (status, text) == (200, f"ready; failing: {name}\n")
        logs = [connect(daemon.port) for _ in range(4)]
        for one in logs:
            for _ in range(2000):
                one("x" * 1000)
        wait_values(daemon, lambda now: get(daemon, "/readyz")[0] == 503)
        status, _, text = get(daemon, "/readyz")
        assert (status, text) == (503, f"the queue is full, failing: {name}\n")
        assert get(daemon, "/healthz")[0] == 200
        postgresql.bring_back()
        wait_values(daemon, lambda now: not now["logd_output_failing", name])
        assert all(one.flush(PATIENCE_S) for one in logs)
        assert get(daemon, "/readyz")[0] == 200


def test_a_daemon_that_drains_is_not_ready(tmp_path: Path) -> None:
    """From the stop on readiness is refused, while the daemon still answers."""
    with running("--metrics", "127.0.0.1:0", folder=tmp_path) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
            # A frame that is not complete is waited for a moment.
            sock.sendall(b"\0\0\0\x50abc")
            deadline = time.monotonic() + PATIENCE_S
            while not values(get(daemon, "/metrics")[2])["logd_connections", ""]:
                assert time.monotonic() < deadline
            daemon.signal(signal.SIGTERM)
            daemon.wait_line("draining")
            assert get(daemon, "/readyz")[::2] == (503, "stopping\n")
        assert daemon.wait() == 0


def test_an_address_in_use_ends_the_start(tmp_path: Path) -> None:
    """One line names the setting and the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        daemon = DaemonProcess("--metrics", address, folder=tmp_path)
        assert daemon.wait() != 0
        daemon.wait_line(f"metrics {address}: .*already in use")

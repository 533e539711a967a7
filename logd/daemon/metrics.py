"""Metrics for Prometheus over HTTP, and whether the daemon is alive and ready.

    /metrics  counters and gauges, in the text format or, where asked for, OpenMetrics
    /healthz  200 while the event loop answers and no thread is stuck; else 503: restart it
    /readyz   200 while new records are taken: sockets listen, no stop has begun, and the queue is
              not full because an output fails. An output that fails alone is no reason: records
              are received, queued and written later; taking the daemon out of service would only
              make its senders wait elsewhere. `logd_output_failing` is what to alert on.

Counters are read when they are asked for; between two requests this costs nothing. The server
knows GET and HEAD, answers once a connection, and bounds everything a client can send.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from logd import __version__

if TYPE_CHECKING:
    from logd.daemon.feed import Feed
    from logd.daemon.peers.listeners import Listener
    from logd.daemon.reload import Reloader
    from logd.daemon.runner import Daemon
    from logd.outputs.worker import OutputWorker

logger = logging.getLogger(__name__)

LARGEST_REQUEST = 16_384
MOST_CONNECTIONS = 32
EXCHANGE_S = 10.0
"""How long request and answer may take together."""

STUCK_S = 60.0
"""A thread that is busy with one thing for longer is not well."""

TEXT = "text/plain; charset=utf-8"


class DaemonCollector(Collector):
    """The daemon's counters as metrics. To be asked in the event loop's thread."""

    def __init__(self, daemon: Daemon, reloader: Reloader, feed: Feed) -> None:
        self._daemon = daemon
        self._reloader = reloader
        self._feed = feed

    def collect(self) -> Iterator[Metric]:
        """All metrics of the daemon."""
        yield InfoMetricFamily("logd", "The running daemon.", {"version": __version__})
        yield from self._of_senders()
        yield from self._of_queue()
        yield from self._of_outputs()
        yield _gauge("logd_followers", "Clients that follow the log.", len(self._feed.followers))
        yield _counter("logd_reloads", "Reloads of the settings.", self._reloader.reloads)
        yield _gauge(
            "logd_config_last_reload_successful",
            "1 where the last reload put its settings in force.",
            self._reloader.succeeded,
        )

    def _of_senders(self) -> Iterator[Metric]:
        hub = self._daemon.hub
        counts = hub.counts
        yield _counter("logd_records", "Records received, repeated ones too.", counts.records)
        yield _counter("logd_received_bytes", "Bytes received.", counts.bytes)
        yield _counter("logd_frames", "Frames received.", counts.frames)
        yield _counter("logd_bad_frames", "Frames that could not be decoded.", counts.bad_frames)
        yield _counter("logd_faults", "Bad frames, refusals and other faults.", counts.faults)
        yield _gauge("logd_connections", "Open connections.", len(hub.connections))
        yield _gauge("logd_sessions", "Open sessions with acknowledgements.", len(hub.sessions))
        yield _counter("logd_connections_opened", "Connections opened.", counts.connections)
        yield _counter(
            "logd_connections_refused", "Connections refused at once.", counts.refused_connections
        )
        yield _counter(
            "logd_client_lost_records",
            "Records that clients say they had to drop before sending them.",
            hub.losses.records,
        )

    def _of_queue(self) -> Iterator[Metric]:
        intake = self._daemon.hub.intake
        yield _gauge(
            "logd_queue_bytes", "Received and not yet held by every output.", intake.queued_bytes
        )
        yield _gauge(
            "logd_queue_limit_bytes", "Where reading from senders pauses.", intake.limit_bytes
        )
        yield _gauge(
            "logd_stuck_seconds",
            "How long a thread has been busy with one thing.",
            self._daemon.stuck_s(),
        )

    def _of_outputs(self) -> Iterable[Metric]:
        labels = ("output",)
        records = CounterMetricFamily("logd_output_records", "Records written.", labels=labels)
        rotations = CounterMetricFamily(
            "logd_output_rotations", "Times it went on to the next file or table.", labels=labels
        )
        size = GaugeMetricFamily(
            "logd_output_current_bytes", "Size of the current file or table.", labels=labels
        )
        waiting = GaugeMetricFamily(
            "logd_output_waiting_records", "Records that wait to be written.", labels=labels
        )
        lag = GaugeMetricFamily(
            "logd_output_lag_seconds",
            "How long the oldest record has waited that is not durable yet.",
            labels=labels,
        )
        failing = GaugeMetricFamily(
            "logd_output_failing", "1 while it refuses records and is tried again.", labels=labels
        )
        names: Counter[str] = Counter()
        for worker in _workers(self._daemon):
            status, behind = worker.output.status(), worker.lag()
            names[status.name] += 1
            same = names[status.name]
            # Two of one name would make the whole answer invalid.
            name = [status.name if same == 1 else f"{status.name} ({same})"]
            records.add_metric(name, status.written)
            rotations.add_metric(name, status.rotations)
            size.add_metric(name, status.size)
            waiting.add_metric(name, behind.records)
            lag.add_metric(name, behind.seconds)
            failing.add_metric(name, worker.state.failing_since is not None)
        return (records, rotations, size, waiting, lag, failing)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    # The text formats add "_total" by themselves.
    return CounterMetricFamily(name, text, value=value)


def _workers(daemon: Daemon) -> Sequence[OutputWorker]:
    return () if daemon.outputs is None else daemon.outputs.workers


class Answer:
    """What is sent back: status line's end, content type and body."""

    def __init__(self, status: str, body: bytes, content_type: str = TEXT) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type

    def encode(self, *, has_body: bool) -> bytes:
        """The bytes of the whole answer, without its body for HEAD."""
        head = (
            f"HTTP/1.1 {self.status}\r\n"
            f"Content-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode("latin-1") + (self.body if has_body else b"")


class MetricsServer:
    """Serves the three paths on sockets of its own. Event loop's thread only."""

    def __init__(
        self, daemon: Daemon, listeners: Sequence[Listener], reloader: Reloader, feed: Feed
    ) -> None:
        self._daemon = daemon
        self._listeners = listeners
        self._registry = CollectorRegistry()
        self._registry.register(DaemonCollector(daemon, reloader, feed))
        ProcessCollector(registry=self._registry)
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to answer."""
        for listener in self._listeners:
            server = await asyncio.start_server(
                self._connected, sock=listener.sock, limit=LARGEST_REQUEST
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Close everything."""
        for server in self._servers:
            server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._guarded(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _guarded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(EXCHANGE_S):
                writer.write(await self._exchange(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            logger.debug("metrics: a client hung up, or slept")
        except Exception:
            logger.exception("metrics: a request failed")
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return Answer("431 Request Header Fields Too Large", b"").encode(has_body=True)
        request, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = request.partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            return Answer("400 Bad Request", b"not HTTP/1.1\n").encode(has_body=True)
        if method not in ("GET", "HEAD"):
            return Answer("405 Method Not Allowed", b"GET and HEAD only\n").encode(has_body=True)
        return self._answer(target.partition("?")[0], fields).encode(has_body=method == "GET")

    def _answer(self, path: str, fields: Iterable[str]) -> Answer:
        match path:
            case "/metrics":
                encode, content_type = choose_encoder(_field(fields, "accept"))
                return Answer("200 OK", encode(self._registry), content_type)
            case "/healthz":
                return self._health()
            case "/readyz":
                return self._readiness()
        return Answer("404 Not Found", b"there are /metrics, /healthz and /readyz\n")

    def _health(self) -> Answer:
        stuck_s = self._daemon.stuck_s()
        if stuck_s >= STUCK_S:
            return _unavailable(f"a thread has been busy with one thing for {stuck_s:.0f} s")
        return Answer("200 OK", b"alive\n")

    def _readiness(self) -> Answer:
        if not self._daemon.is_ready:
            return _unavailable("stopping" if self._daemon.stopping.is_set() else "starting")
        failing = [
            worker.output.name
            for worker in _workers(self._daemon)
            if worker.state.failing_since is not None
        ]
        if failing and self._daemon.hub.intake.is_full:
            return _unavailable(f"the queue is full, failing: {', '.join(failing)}")
        text = f"ready; failing: {', '.join(failing)}\n" if failing else "ready\n"
        return Answer("200 OK", text.encode())


def _field(fields: Iterable[str], name: str) -> str:
    """The value of the header field of that name; "" without one."""
    for field in fields:
        key, _, value = field.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _unavailable(text: str) -> Answer:
    return Answer("503 Service Unavailable", f"{text}\n".encode())

"""Metrics for Prometheus over HTTP, and whether the daemon is alive and ready.

    /metrics  counters and gauges, in the text format or, if asked for, OpenMetrics
    /healthz  200 while the event loop answers and no thread is stuck; else 503: restart it
    /readyz   200 while new records are taken: sockets listen, no stop has begun, and the queue is
              not full because an output fails. An output that fails alone is no reason: records
              are received, queued and written later; taking the daemon out of service would only
              make its senders wait elsewhere. `logd_output_failing` is what to alert on.

Counters are read when they are asked for; between two requests this costs nothing. What serves
them, and bounds everything a client can send, is `httpserver`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from logd import __version__
from logd.daemon.httpserver import HttpServer

if TYPE_CHECKING:
    from logd.daemon.feed import Feed
    from logd.daemon.partition import Partition
    from logd.daemon.peers.listeners import Listener
    from logd.daemon.reload import Reloader
    from logd.daemon.runner import Daemon
    from logd.outputs.health import Health
    from logd.outputs.worker import OutputWorker

STUCK_S = 60.0
"""A thread that is busy with one thing for longer is not well."""

_OPEN_METRICS_NAME = "application/openmetrics-text"
OPEN_METRICS = f"{_OPEN_METRICS_NAME}; version=1.0.0"


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
        yield from self._of_partitions()
        left = [one for one in self._daemon.left_behind if one.is_left]
        yield _gauge(
            "logd_left_behind_bytes",
            "What waits on disk for no output of the settings.",
            sum(one.size for one in left),
        )
        yield _gauge(
            "logd_left_behind_records",
            "Records that wait on disk for no output of the settings.",
            sum(one.records or 0 for one in left),
        )
        yield _gauge("logd_followers", "Clients that follow the log.", len(self._feed.followers))
        yield _counter("logd_reloads", "Reloads of the settings.", self._reloader.reloads)
        yield _gauge(
            "logd_config_last_reload_successful",
            "1 if the last reload put its settings in force.",
            self._reloader.succeeded,
        )

    def _of_senders(self) -> Iterator[Metric]:
        hub = self._daemon.hub
        counts = hub.counts
        yield _counter("logd_records", "Records received, repeated ones too.", counts.records)
        yield _counter("logd_received_bytes", "Bytes received.", hub.received_bytes)
        yield _counter("logd_frames", "Frames received.", hub.frames)
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
            "logd_queue_overflow_bytes",
            "Waits on disk, not decoded: plain senders are faster than the processor.",
            intake.overflow.waiting_bytes,
        )
        yield _gauge(
            "logd_stuck_seconds",
            "How long a thread has been busy with one thing.",
            self._daemon.chores.stuck_s(),
        )

    def _of_outputs(self) -> Iterable[Metric]:
        families: list[GaugeMetricFamily | CounterMetricFamily] = [
            one.kind(f"logd_output_{one.name}", one.text, labels=("output",)) for one in _OUTPUT
        ]
        measures: dict[str, GaugeMetricFamily] = {}
        names: Counter[str] = Counter()
        for worker in _workers(self._daemon):
            health = worker.health()
            name = health.status.name
            names[name] += 1
            # Two of one name would make the whole answer invalid.
            label = [name if names[name] == 1 else f"{name} ({names[name]})"]
            for one, family in zip(_OUTPUT, families, strict=True):
                family.add_metric(label, one.value(health))
            for what, value in health.status.measures.items():
                more = f"logd_output_{what}"
                if more not in measures:
                    text = "See what the output says of itself in logd status."
                    measures[more] = GaugeMetricFamily(more, text, labels=("output",))
                measures[more].add_metric(label, value)
        return (*families, *measures.values())

    def _of_partitions(self) -> Iterable[Metric]:
        partitions = self._daemon.partitions
        if not partitions:
            return
        for name, text, value in _PARTITION_GAUGES:
            gauge = GaugeMetricFamily(f"logd_engine_{name}", text, labels=("partition",))
            for partition in partitions:
                gauge.add_metric([str(partition.number)], value(partition))
            yield gauge
        for name, text, value in _PARTITION_COUNTERS:
            counter = CounterMetricFamily(f"logd_engine_{name}", text, labels=("partition",))
            for partition in partitions:
                counter.add_metric([str(partition.number)], value(partition))
            yield counter


_Value = Callable[["Partition"], float]

_PARTITION_GAUGES: Sequence[tuple[str, str, _Value]] = (
    ("reading", "1 while the partition's log is this daemon's.", lambda p: p.counts.is_reading),
    ("left_messages", "Messages that the log has not got.", lambda p: p.counts.left),
    ("lag_seconds", "How old the last message is that was read; 0 at the end.", lambda p: p.lag_s),
)
_PARTITION_COUNTERS: Sequence[tuple[str, str, _Value]] = (
    ("messages", "Messages read.", lambda p: p.counts.messages),
    ("records", "Records handed to the log.", lambda p: p.counts.records),
    ("repetitions", "Pieces that the log had already.", lambda p: p.counts.repetitions),
    ("gaps", "Pieces left out because they come again.", lambda p: p.counts.gaps),
    ("holes", "Times that records were missing for good.", lambda p: p.counts.holes),
    ("poison", "Messages, or parts of them, that can't be read.", lambda p: p.counts.poison),
)


class _OutputMetric(NamedTuple):
    """A metric of each output: what it is called, and where its value comes from."""

    kind: type[GaugeMetricFamily | CounterMetricFamily]
    name: str
    text: str
    value: Callable[[Health], float]


def _disk_age_s(health: Health) -> float:
    oldest_at = health.queue.oldest_at
    return time.time() - oldest_at if oldest_at else 0.0


_COUNTER, _GAUGE = CounterMetricFamily, GaugeMetricFamily
_OUTPUT = (
    _OutputMetric(_COUNTER, "records", "Records written.", lambda h: h.status.written),
    _OutputMetric(
        *(_COUNTER, "rotations", "Times it went on to the next file or table."),
        lambda h: h.status.rotations,
    ),
    _OutputMetric(
        *(_GAUGE, "current_bytes", "Size of the current file or table."), lambda h: h.status.size
    ),
    _OutputMetric(
        *(_GAUGE, "waiting_records", "Records that wait to be written."),
        lambda h: h.waiting_records,
    ),
    _OutputMetric(
        *(_GAUGE, "lag_seconds", "How long the oldest record has waited that is not durable yet."),
        lambda h: h.lag_s,
    ),
    _OutputMetric(
        *(_GAUGE, "failing", "1 while it refuses records and is tried again."),
        lambda h: h.failing_since is not None,
    ),
    _OutputMetric(
        *(_GAUGE, "disk_records", "Records that wait on disk for the output."),
        lambda h: h.queue.records,
    ),
    _OutputMetric(
        *(_GAUGE, "disk_bytes", "What the queue on disk takes."), lambda h: h.queue.bytes
    ),
    _OutputMetric(
        *(_GAUGE, "disk_limit_bytes", "What it may take; 0 is off."),
        lambda h: h.queue.limit_bytes,
    ),
    _OutputMetric(
        *(_GAUGE, "disk_age_seconds", "How long the oldest of them has waited."), _disk_age_s
    ),
    _OutputMetric(
        *(_GAUGE, "disk_full", "1 while it takes no more, so that senders wait."),
        lambda h: h.queue_full_since is not None,
    ),
    _OutputMetric(
        *(_COUNTER, "disk_kept_records", "Records that went to disk."), lambda h: h.queue.kept
    ),
    _OutputMetric(
        *(_COUNTER, "disk_taken_records", "Records that came back from disk."),
        lambda h: h.queue.taken,
    ),
)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    # The text formats add "_total" by themselves.
    return CounterMetricFamily(name, text, value=value)


def _workers(daemon: Daemon) -> Sequence[OutputWorker]:
    return () if daemon.outputs is None else daemon.outputs.workers


class MetricsServer:
    """Serves the three paths. Event loop's thread only.

    Args:
        daemon, reloader, feed: what is told about.
        listeners: sockets that listen.
        hosts: see `HttpServer`.
    """

    def __init__(
        self,
        daemon: Daemon,
        listeners: Sequence[Listener],
        reloader: Reloader,
        feed: Feed,
        hosts: Sequence[str] = (),
    ) -> None:
        self._daemon = daemon
        self._registry = CollectorRegistry()
        self._registry.register(DaemonCollector(daemon, reloader, feed))
        ProcessCollector(registry=self._registry)
        app = Starlette(
            routes=[
                Route("/metrics", self._metrics),
                Route("/healthz", self._health),
                Route("/readyz", self._readiness),
            ],
            exception_handlers={404: _no_such_path, 405: _no_such_method},
        )
        self._server = HttpServer(app, listeners, hosts)

    async def start(self) -> None:
        """Begin to answer."""
        await self._server.start()

    async def stop(self) -> None:
        """Close everything."""
        await self._server.stop()

    # Coroutines, though they wait for nothing: Starlette runs others in threads.

    async def _metrics(self, request: Request) -> Response:
        # Only what is known is given to the encoder: it fails at versions that are none.
        wanted = OPEN_METRICS if _OPEN_METRICS_NAME in request.headers.get("accept", "") else ""
        encode, content_type = choose_encoder(wanted)
        return Response(encode(self._registry), headers={"Content-Type": content_type})

    async def _health(self, request: Request) -> Response:
        stuck_s = self._daemon.chores.stuck_s()
        if stuck_s >= STUCK_S:
            return _unavailable(f"a thread has been busy with one thing for {stuck_s:.0f} s")
        return PlainTextResponse("alive\n")

    async def _readiness(self, request: Request) -> Response:
        if not self._daemon.is_ready:
            return _unavailable("stopping" if self._daemon.stopping.is_set() else "starting")
        failing = [worker.output.name for worker in _workers(self._daemon) if worker.is_failing]
        if failing and self._daemon.hub.intake.is_full:
            return _unavailable(f"the queue is full, failing: {', '.join(failing)}")
        text = f"ready; failing: {', '.join(failing)}\n" if failing else "ready\n"
        return PlainTextResponse(text)


def _unavailable(text: str) -> Response:
    return PlainTextResponse(f"{text}\n", 503)


async def _no_such_path(request: Request, exc: Exception) -> Response:
    return PlainTextResponse("there are /metrics, /healthz and /readyz\n", 404)


async def _no_such_method(request: Request, exc: Exception) -> Response:
    return PlainTextResponse("GET and HEAD only\n", 405, headers={"Allow": "GET, HEAD"})

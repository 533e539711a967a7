"""What an operator sees of the running daemon: one snapshot of plain values, for JSON.

`logd status` prints it; `metrics.py` reads the same counters by itself. Event loop's thread only.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from logd import __version__
from logd.daemon.rates import SPANS_S

if TYPE_CHECKING:
    from logd.daemon.holdings import Holding
    from logd.daemon.partition import Partition
    from logd.daemon.peers.connection import Connection
    from logd.daemon.runner import Daemon
    from logd.outputs.worker import OutputWorker

CONNECTIONS_SHOWN = 20
MAX_CONNECTIONS_SHOWN = 1000


def snapshot(
    daemon: Daemon,
    connections: int = CONNECTIONS_SHOWN,
    holdings: Mapping[str, Holding] = {},
) -> dict[str, Any]:
    """The state of the daemon.

    Args:
        daemon: the daemon.
        holdings: what outputs keep, by name, as far as they don't know that themselves.
        connections: how many connections are listed: those with the most records.

    Returns:
        The object that `logd/README.md` describes, which a test compares with it.
    """
    hub = daemon.hub
    counts = hub.counts
    rates = {span_s: daemon.chores.rates.over(span_s) for span_s in SPANS_S}
    return {
        "version": __version__,
        "pid": os.getpid(),
        "state": "running" if daemon.is_ready else "stopping",
        "started_at": hub.started_at,
        "uptime_s": time.time() - hub.started_at,
        "addresses": daemon.addresses,
        "records": counts.records,
        "received_bytes": hub.received_bytes,
        "frames": hub.frames,
        "records_per_s": {str(span_s): rate for span_s, (rate, _) in rates.items()},
        "bytes_per_s": {str(span_s): rate for span_s, (_, rate) in rates.items()},
        "queue": {
            "bytes": hub.intake.queued_bytes,
            "limit_bytes": hub.intake.limit_bytes,
            "is_full": hub.intake.is_full,
            "overflow_bytes": hub.intake.overflow.waiting_bytes,
        },
        "connections": {
            "open": len(hub.connections),
            "accepted": counts.connections,
            "refused": counts.refused_connections,
            "sessions": len(hub.sessions),
            "top": [
                _connection(daemon, connection)
                for connection in _busiest(hub.connections, connections)
            ],
        },
        "outputs": [_output(daemon, worker, holdings) for worker in _workers(daemon)],
        "partitions": [_partition(partition) for partition in daemon.partitions],
        "left_behind": [
            {
                "path": str(one.path),
                "output": one.output,
                "records": one.records,
                "bytes": one.size,
            }
            for one in daemon.left_behind
            if one.is_left
        ],
        "lost_by_clients": _losses(daemon),
        "faults": {
            "total": counts.faults,
            "bad_frames": counts.bad_frames,
            "last": [fault._asdict() for fault in hub.last_faults],
        },
        "stuck_s": daemon.chores.stuck_s(),
    }


def _busiest(connections: Iterable[Connection], count: int) -> list[Connection]:
    return heapq.nlargest(min(count, MAX_CONNECTIONS_SHOWN), connections, key=attrgetter("records"))


def _connection(daemon: Daemon, connection: Connection) -> dict[str, Any]:
    unacknowledged = 0
    if connection.client is not None:
        known = max(daemon.sessions.acknowledged(connection.client), connection.first - 1)
        unacknowledged = max(0, daemon.pipeline.accepted(connection.client) - known)
    return {
        "peer": connection.peer,
        "kind": connection.kind.value,
        "records": connection.records,
        "bytes": connection.read_bytes,
        "unacknowledged": unacknowledged,
        "queued_bytes": connection.queued_bytes,
        "open_s": daemon.hub.loop.time() - connection.since,
    }


def _workers(daemon: Daemon) -> Sequence[OutputWorker]:
    return [] if daemon.outputs is None else daemon.outputs.workers


def _output(
    daemon: Daemon, worker: OutputWorker, holdings: Mapping[str, Holding]
) -> dict[str, Any]:
    health = worker.health()
    status, queue, error = health.status, health.queue, health.last_error
    pace = daemon.chores.paces.get(worker)
    kept = holdings.get(status.name)
    return {
        "name": status.name,
        "current": status.current,
        "lines": status.lines,
        "size": status.size,
        "kept_size": status.kept_size if kept is None else kept.size,
        "kept_since": status.kept_since if kept is None else kept.since,
        "written": status.written,
        "rotations": status.rotations,
        "waiting_records": health.waiting_records,
        "lag_s": health.lag_s,
        "failing_since": health.failing_since,
        "retries": health.retries,
        "last_error": None if error is None else {"text": error[0], "time": error[1]},
        "disk": {
            "records": queue.records,
            "bytes": queue.bytes,
            "limit_bytes": queue.limit_bytes,
            "oldest_at": queue.oldest_at,
            "full_since": health.queue_full_since,
            "records_per_s": 0.0 if pace is None else pace.taken_per_s,
            "left_s": None if pace is None else pace.left_s(queue.records),
        },
        "measures": status.measures,
        "details": status.details,
    }


def _partition(partition: Partition) -> dict[str, Any]:
    counts = partition.counts
    return {
        "number": partition.number,
        "ring": partition.ring,
        "is_reading": counts.is_reading,
        "place": counts.place,
        "messages": counts.messages,
        "records": counts.records,
        "left_messages": counts.left,
        "left_records": round(counts.left * counts.records_a_message),
        "lag_s": partition.lag_s,
        "repetitions": counts.repetitions,
        "gaps": counts.gaps,
        "holes": counts.holes,
        "hole_records": counts.hole_records,
        "poison": counts.poison,
    }


def _losses(daemon: Daemon) -> dict[str, Any]:
    losses = daemon.hub.losses
    last = losses.last
    return {
        "records": losses.records,
        "reports": losses.reports,
        "last": None
        if last is None
        else {"time": last.time, "peer": last.peer, "pid": last.pid, "records": last.records},
    }

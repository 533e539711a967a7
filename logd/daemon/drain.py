"""The stages of a graceful stop: nothing that reached this machine is left behind.

    1. accept what the kernel has already taken, then no more
    2. sessions: read no more, they keep what is not acknowledged; senders without acks: read on
       until no kernel, theirs included, and no TLS holds anything of theirs, then close
    3. decode and filter what is queued, end filters and observers; outputs go on writing meanwhile;
       what sessions sent is left if that takes long, as they keep it
    4. write, or keep on disk what an output does not take in time; acknowledge
    5. close connections

One deadline spans the stages. Past it nothing is waited for that others could delay (a sender
that never stops, an output that is away); what was received is still written or kept.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios
import time
from collections.abc import Callable

from logd.daemon.peers.acceptor import Acceptor
from logd.daemon.peers.connection import Connection
from logd.daemon.peers.hub import Hub
from logd.daemon.peers.intake import Pause
from logd.daemon.peers.peerend import PeerKind
from logd.daemon.pipeline import Pipeline
from logd.outputs.fanout import Outputs

LOOK_AGAIN_S = 0.002
"""Nothing tells when a socket's buffer is empty; so it is asked."""

IN_FLIGHT_BYTES = 16 * 1024**2
"""What two kernels may hold of one sender, which takes it for sent: by default 4 MiB at most at its
end and 6 at ours. Once a sender has sent this much since the stop, all that it had sent before is
here."""

BUSY_BYTES = 65_536
"""A sender of this much between two looks may have more on its way, which takes `ON_THE_WAY_S`.
Less may be an app on this machine that goes on logging, and is not waited for."""

ON_THE_WAY_S = 0.1
"""How long the next bytes take from a sender's kernel to ours, over a slow network."""

SLOW_LINK_S = 3.0
"""How long to wait for senders on other machines, however little comes at a time."""

CUT_FRAME_GRACE_S = 1.0
"""How long a sender may take to complete a frame that it had begun when the stop came."""

PLUGINS_S = 10.0
"""How long filters and observers may take to end what they have running (a mail, a webhook)."""

OUTPUTS_S = 10.0
"""How long outputs that work are given records; what is left then waits on disk for the next start.
"""

AWAY_S = 2.0
"""The same for one that is away, and how long one is busy with a call that seems to be."""

SESSIONS_S = 10.0
"""How long what sessions sent is decoded. Short frames that are long when written would take
minutes, and the service's manager ends what takes longer than one."""

DISK_S = 10.0
"""If an output has neither written nor kept what it was given this long after the deadline, the
rest is decoded all the same, so that at least other outputs get it."""

CLOSE_S = 2.0
"""How long peers may take to read their last acks."""


async def drain(
    hub: Hub[Connection],
    acceptor: Acceptor,
    pipeline: Pipeline,
    outputs: Outputs | None,
    drain_s: float,
    close_plugins: Callable[[float], None] | None = None,
) -> None:
    """Stop the daemon as the module says; returns when all stages are done."""
    now = time.monotonic()
    deadline = now + drain_s
    if outputs is not None:
        for worker in outputs.workers:
            is_away = worker.is_failing or worker.stuck_s() > AWAY_S
            worker.give_up_at(now + min(drain_s, AWAY_S if is_away else OUTPUTS_S))
            if is_away or worker.is_full or hub.intake.is_full:
                # Room first: what kernels hold for us is read only while there is some.
                worker.relieve()
    await acceptor.stop()
    # Senders that were slowed down are not waited for: what has arrived is taken.
    hub.lift_rates()
    hub.end_rounds()
    hub.is_draining = True
    for connection in hub.connections:
        if connection.kind is PeerKind.SESSION:
            connection.pause(Pause.DRAIN)
    await _read_out(hub, deadline)
    gone_s = time.monotonic() - now
    timers = (
        hub.loop.call_later(min(drain_s, SESSIONS_S) - gone_s, pipeline.drop_sessions),
        hub.loop.call_later(drain_s + DISK_S - gone_s, pipeline.lift_limit),
    )
    await pipeline.wait_decoded()
    for timer in timers:
        timer.cancel()
    await asyncio.to_thread(pipeline.thread.stop)
    if close_plugins is not None:
        left_s = max(0.0, min(deadline - time.monotonic(), PLUGINS_S))
        await asyncio.to_thread(close_plugins, left_s)
    if outputs is not None:
        await asyncio.to_thread(outputs.stop)
    # The last acks were handed to the loop just now, from the threads that ended.
    await asyncio.sleep(0)
    for connection in list(hub.connections):
        connection.close()
    await hub.wait_all_closed(CLOSE_S)


async def _read_out(hub: Hub[Connection], deadline: float) -> None:
    """Let the loop read senders without acks until nothing of theirs is left; close them."""
    cut_frames_until = min(deadline, time.monotonic() + CUT_FRAME_GRACE_S)
    senders: dict[Connection, _Sender] = {}
    while True:
        # A pass of the loop in between: what was readable by then has been read.
        await asyncio.sleep(0)
        now = time.monotonic()
        left = [
            connection
            for connection in hub.connections
            if connection.kind is not PeerKind.SESSION and not connection.is_closing
        ]
        if not left:
            return
        for connection in left:
            sender = senders.get(connection)
            if sender is None:
                since_s = hub.loop.time() - connection.last_read
                sender = senders[connection] = _Sender(connection, now, now - since_s)
            if sender.is_read_out(now, cut_frames_until) or now > deadline:
                connection.close()
        await asyncio.sleep(LOOK_AGAIN_S)


class _Sender:
    """What is seen of one sender without acks, from look to look."""

    def __init__(self, connection: Connection, now: float, last_read: float) -> None:
        self._connection = connection
        self._first_bytes = self._seen_bytes = connection.read_bytes
        self._slow_until = now + SLOW_LINK_S if connection.origin else now
        self._busy_until = last_read + ON_THE_WAY_S
        self._is_quiet = False

    def is_read_out(self, now: float, cut_frames_until: float) -> bool:
        """Whether all is here that it had sent when the stop came."""
        connection = self._connection
        new_bytes = connection.read_bytes - self._seen_bytes
        self._seen_bytes = connection.read_bytes
        if self._seen_bytes - self._first_bytes >= IN_FLIGHT_BYTES:
            return True
        if new_bytes >= BUSY_BYTES or (new_bytes and now < self._slow_until):
            self._busy_until = now + ON_THE_WAY_S
        was_quiet = self._is_quiet
        self._is_quiet = not (
            (connection.partial_bytes and now < cut_frames_until)
            or connection.may_hold_back
            or _unread_bytes(connection)
        )
        # Twice, for one that was paused just before may have more in a moment.
        return self._is_quiet and was_quiet and now >= self._busy_until


def _unread_bytes(connection: Connection) -> int:
    """Bytes that the kernel has received for `connection` and nobody has read."""
    sock = connection.raw_socket()
    if sock is None:
        return 0
    unread = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.FIONREAD, unread)
    return unread[0]

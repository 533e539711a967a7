"""The daemon's end of a connection that carries a session: how it opens, what its client is told.

The answer to an opening is the session's mark: the number of its last record that is durable. If
other daemons may have written of the session, too, their database is asked first. What the client
sends meanwhile waits here, and nothing more is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from logd.daemon.gathering import Lockstep
from logd.daemon.peers.hub import Hub
from logd.daemon.peers.intake import Pause
from logd.daemon.peers.markreader import MarkReader
from logd.daemon.peers.origin import Origin
from logd.daemon.peers.peerend import PeerEnd, PeerKind
from logd.daemon.peers.rounds import GATHER_S
from logd.daemon.peers.sockets import watch_for_death
from logd.wire.frames import Frames
from logd.wire.session import KEEP_ALIVE, Opening, encode_ack


class SessionEnd(PeerEnd):
    """What a session adds to a connection; nothing happens here if the peer has none.

    Attributes:
        host: the peer's address, "" on a Unix socket.
        identity: the owner of a session: the certificate, else the account.
        client: the session's key, see `SessionKeys`; None without one.
        first: the lowest sequence number that the session's opening announced.
        acks: it is told what is stored.
    """

    __slots__ = ("_early", "_lockstep", "acks", "client", "first", "host", "identity")

    def __init__(self, hub: Hub[Any], origin: Origin, on_resumed: Callable[[], None]) -> None:
        super().__init__(hub, origin.name, on_resumed)
        self._lockstep: Lockstep | None = None
        # What came before the session's mark was known.
        self._early: list[Frames] | None = None
        self.host = origin.host
        self.identity = origin.account
        self.client: bytes | None = None
        self.first = 0
        self.acks = False

    # -- the opening -----------------------------------------------------------------------

    def _open_session(self, opening: Opening) -> bool:
        """Begin or go on with a session; False if another peer has it."""
        sessions = self._hub.sessions
        if self._hub.marks is not None and not sessions.keys.is_known:
            self._hub.marks.find_key()
            self.give_up("the database is away, so its session can't be looked up")
            return False
        client = sessions.keys.of(opening.client)
        holder = sessions.holder_elsewhere(client, self.identity)
        if holder is not None:
            # The client may have moved: it comes back until its old connection has died.
            self.give_up(f"its session is open from {holder}: a client that moved, or a stranger")
            return False
        self.kind = PeerKind.SESSION
        self._splitter.may_skip = False
        self.client = client
        self._lockstep = Lockstep()
        self.acks = True
        self.first = opening.first
        sock = self.raw_socket() if self.host else None
        if sock is not None:
            watch_for_death(sock)
        mark = sessions.opened(client, self)
        if self._hub.marks is None:
            self.send_ack(mark)
        else:
            self._ask_for_mark(self._hub.marks, client)
        if self._hub.is_draining:
            self.reading.pause(Pause.DRAIN)
        return True

    def _ask_for_mark(self, marks: MarkReader, client: bytes) -> None:
        """Other daemons may have written of this session: its answer waits for what they know."""
        self._tell(KEEP_ALIVE)  # says that the session may go on at any of them
        self._early = []
        self.reading.pause(Pause.MARK)
        marks.ask(client, self._mark_is_known)

    def _mark_is_known(self, mark: int | None, problem: str) -> None:
        if self.client is None or self.is_closed or self.is_failed:
            return
        if mark is None:
            self.give_up(f"what is stored of its session can't be found out: {problem}")
            return
        # What others have of it never comes again.
        self.first = max(self.first, mark + 1)
        self.send_ack(max(mark, self._hub.sessions.acknowledged(self.client)))
        early, self._early = self._early or (), None
        for frames in early:
            self._hub.intake.put(self, frames)
        self.reading.resume(Pause.MARK)

    # -- acks ------------------------------------------------------------------------------

    def send_ack(self, number: int) -> None:
        """Tell the client that all up to `number` is durable."""
        self.acked = number
        self._tell(encode_ack(number))
        if self._lockstep is not None:
            self._lockstep.acked(self._hub.loop.time())

    def keep_alive(self) -> None:
        """Tell a client that waits for an ack that the daemon lives."""
        if self.kind is PeerKind.SESSION and (self.is_owed or self.is_paused):
            self._tell(KEEP_ALIVE)

    @property
    def is_awaiting(self) -> bool:
        """Whether its peer waits for what it sent to be stored, as far as can be seen."""
        return self._lockstep is not None and self._lockstep.is_awaiting

    def is_in_lockstep(self) -> bool:
        """See `rounds.RoundMember`."""
        lockstep = self._lockstep
        return lockstep is not None and lockstep.received_late(
            time.monotonic(), GATHER_S, is_all_acked=not self.is_owed
        )

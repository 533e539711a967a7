"""Whether a connection's socket is read, and by whom: reasons to pause add up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from socket import socket
from typing import Any

from logd.daemon.peers.intake import Pause
from logd.daemon.peers.readturns import ReadTurns
from logd.daemon.peers.rounds import RoundMember, Rounds


class ReadSwitch:
    """Pauses and resumes one connection; made before there is a transport.

    Args:
        loop: runs the timer of `pause_for`.
        turns: where it waits for a later turn of the loop.
        rounds: they read the socket while its sender is quiet.
        on_resumed: called before the socket is read again after a pause.
    """

    __slots__ = (
        "_is_held",
        "_loop",
        "_on_resumed",
        "_reasons",
        "_rounds",
        "_shared",
        "_timer",
        "_transport",
        "_turns",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        turns: ReadTurns,
        rounds: Rounds[Any],
        on_resumed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._turns = turns
        self._on_resumed = on_resumed
        self._rounds = rounds
        self._reasons = Pause(0)
        self._transport: asyncio.Transport | None = None
        # What the rounds read; None while the transport reads.
        self._shared: tuple[RoundMember, socket] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # What was read is on its way to the loop: nobody reads on before it is there.
        self._is_held = False

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused for more than its turn to come."""
        return bool(self._reasons & ~Pause.TURN)

    @property
    def is_by_rounds(self) -> bool:
        """Whether the rounds read the socket, not its transport."""
        return self._shared is not None

    def start(self, transport: asyncio.Transport) -> None:
        """The transport is there."""
        self._transport = transport
        if self._reasons:
            transport.pause_reading()

    def stop(self) -> None:
        """The transport is gone; the socket is still open."""
        if self._shared is not None and not self._reasons:
            self._rounds.remove(self._shared[1])
        self._shared = None
        self._transport = None
        self._cancel_timer()

    def go_by_rounds(self, member: RoundMember, sock: socket) -> None:
        """Let the rounds read from now on."""
        if self._transport is None or self._shared is not None:
            return
        if not self._reasons:
            self._halt()
        self._shared = member, sock
        if not self._reasons:
            self._go()

    def go_alone(self) -> None:
        """Let the transport read from now on."""
        if self._shared is None:
            return
        if not self._reasons:
            self._halt()
        self._shared = None
        if not self._reasons:
            self._go()

    def pause(self, reason: Pause) -> None:
        """Stop reading, for a reason."""
        if not self._reasons:
            self._halt()
        self._reasons |= reason

    def end_turn(self, account: str) -> None:
        """Read no more before it is the turn of this connection of `account` again."""
        if not self._reasons & Pause.TURN:
            self.pause(Pause.TURN)
            self._turns.wait(account, self._begin_turn)

    def _begin_turn(self) -> None:
        self.resume(Pause.TURN)

    def pause_for(self, seconds: float) -> None:
        """Stop reading for a while: the peer sent more than it may. Replaces an earlier pause."""
        self._cancel_timer()
        self.pause(Pause.RATE)
        self._timer = self._loop.call_later(seconds, self.resume, Pause.RATE)

    def resume(self, reason: Pause) -> None:
        """A reason to pause is gone; reads on if it was the last."""
        was_paused = bool(self._reasons)
        self._reasons &= ~reason
        if was_paused and not self._reasons and self._transport is not None:
            if reason is not Pause.TURN:
                self._on_resumed()
            self._go()

    def _halt(self) -> None:
        if self._transport is None:
            return
        if self._shared is None:
            self._transport.pause_reading()
        else:
            self._rounds.remove(self._shared[1])

    def hold(self) -> None:
        """In the rounds' thread, under their lock: they leave what they read to the loop."""
        self._is_held = True

    def release(self) -> None:
        """The loop has it."""
        if self._is_held:
            self._is_held = False
            if not self._reasons:
                self._go()

    def _go(self) -> None:
        if self._transport is None or self._is_held:
            return
        if self._shared is not None:
            try:
                self._rounds.add(*self._shared)
            except OSError:
                # They are a saving: without a descriptor for them each is read alone.
                self._shared = None
        if self._shared is None:
            self._transport.resume_reading()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

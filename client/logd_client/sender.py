"""How delivery begins and ends: for a session, at a fork, at the end of the process.

A session ends with `close` or with a fork. The next record begins another one in the same buffer.
"""

from __future__ import annotations

from collections.abc import Callable

from logd_client import lifecycle
from logd_client.courier import Courier
from logd_client.delivery import Deliverer, SenderSettings
from logd_client.journaledbuffer import JournaledBuffer
from logd_client.natives import acquire_within, monotonic
from logd_client.receipt import Receipt

__all__ = ["Sender", "SenderSettings"]

_STOP_S = 0.2
"""Beyond the time to deliver: how long the thread may take to end its last step."""

_END_S = 0.05
"""How long a step of another thread may take, once the sender's own has ended."""

_JUST_BEFORE_S = 0.5
"""As long after a flush it makes no sense to wait again for the same records."""


class Sender(Deliverer):
    """Delivers what is put in its buffer. All methods may be called from any thread."""

    __slots__ = ()

    def __init__(self, settings: SenderSettings, report: Callable[[BaseException], None]) -> None:
        super().__init__(settings, report)
        lifecycle.register(self)

    def close(self, timeout_s: float | None) -> Receipt:
        """Deliver what is left within the time (None: the exit timeout), stop, disconnect.

        What could not be delivered is counted and reported as lost, or left in the spool for the
        next process. The next record begins another session.
        """
        lifecycle.look_for_fork()
        if timeout_s is None:
            timeout_s = self._settings.exit_timeout_s
        deadline = monotonic() + timeout_s
        courier, target = self._position()
        self._deliver_until(deadline, target)
        if not acquire_within(self._changing, _left(deadline) + _STOP_S):
            return Receipt(courier.session.acked >= target, courier.session.acked)
        try:
            self._stop_thread(deadline)
            if self._leftovers is not None:
                is_there = courier.link.connected_to is not None
                self._leftovers.stop(deadline, is_server_there=is_there)
                self._leftovers = None
            if courier is self._courier:
                self._end_session(courier, target)
        finally:
            self._changing.release()
        if not self.buffer.is_empty:  # records that came meanwhile
            self._on_record()
        return Receipt(courier.session.acked >= target, courier.session.acked)

    def let_go(self) -> None:
        """As `close`, but what can't be delivered within the exit timeout is not given up.

        The thread goes on with it, and then lets go. For `logging`, which flushes handlers and
        closes them, and may go on using them: a flush that failed just before counts as the wait.
        """
        lifecycle.look_for_fork()
        _, target = self._position()
        waited_for, waited_until = self._in_vain
        deadline = monotonic() + self._settings.exit_timeout_s
        if waited_for < target or monotonic() - waited_until > _JUST_BEFORE_S:
            self._deliver_until(deadline, target)
        if self.acked >= target or self._is_ended:
            self.close(0.0 if self._is_ended else _left(deadline))
        else:
            self._is_leaving = True

    def _look(self) -> float:
        again_s = super()._look()
        if self._is_leaving and not self.unacknowledged and self._changing.acquire(False):
            self._is_leaving = False
            try:
                self._end_session(self._courier, self._courier.session.acked)
                self._thread = None
            finally:
                self._changing.release()
            if not self.buffer.is_empty:
                self._on_record()
        return again_s

    def _end_session(self, courier: Courier, target: int) -> None:
        self._in_vain = (0, 0.0)
        left = self._undelivered.rows_of(courier, target)
        lost = courier.end(target, _END_S, self._begin_session)
        if lost and self._settings.spool is None:
            target = courier.session.acked + lost
            self._lost_before += self._undelivered.end(courier, target, left)
        self._lost_before += courier.link.given_up
        self._losses.look(is_end=True)

    def shutdown(self, deadline: float) -> None:
        """Deliver what is left until `deadline` (monotonic time), and stop the thread for good.

        From then on records are sent by the thread that logs them, until the deadline. Does
        nothing the second time.
        """
        if self._is_ended:
            return
        # Daemon threads may go on logging: this is about what is there now.
        target = self.buffer.last_sequence
        self._deliver_until(deadline, target)
        if self._leftovers is not None:
            is_there = self._courier.link.connected_to is not None
            self._leftovers.stop(deadline, is_server_there=is_there)
        self._is_threadless = True
        self._stop_thread(deadline)
        # The thread is gone, or hangs: none that the interpreter freezes may hold our lock.
        self.buffer.prepare_for_exit()
        self._exit_deadline = deadline
        self._is_ended = True
        self.buffer.tell_each()
        self._deliver_until(deadline, target)
        session = self._courier.session
        if isinstance(self.buffer, JournaledBuffer):
            # Records of threads that still log are in the journal: the folder stays for those.
            if session.oldest is None and self.buffer.end_journal():
                self._courier.store.close(is_delivered=True)
        elif session.acked < target:
            left = self._undelivered.rows_of(self._courier, target)
            self._lost_before += self._undelivered.end(self._courier, target, left)
        self._losses.look(is_end=True)

    def _deliver_until(self, deadline: float, target: int) -> None:
        """Wait until the server has stored everything up to the number.

        If the server is away, it is enough that the spool has it.
        """
        if self._settings.spool is None or self._courier.link.is_open:
            self.wait(target, _left(deadline))

    def _stop_thread(self, deadline: float) -> None:
        thread = self._thread
        if thread is not None:
            thread.stop(_left(deadline) + _STOP_S)
            self._thread = None

    def after_fork(self) -> None:
        """In a child process: let go of all that is the parent's and begin a session anew."""
        self._courier.abandon()
        if self._thread is not None:
            self._thread.abandon()
        if self._leftovers is not None:
            self._leftovers.abandon()
            self._leftovers = None
        self.buffer.reset()
        self._begin()

    def at_exit(self, began: float) -> None:
        """The process ends: `shutdown` within the time that the user set for it."""
        self.shutdown(began + self._settings.exit_timeout_s)


def _left(deadline: float) -> float:
    return max(0.0, deadline - monotonic())

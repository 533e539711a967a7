"""One round over the places where the server may be, until one of them answers. Never waits.

Its owner calls `advance` until that returns a socket. The server must answer on that socket within
the time that its place has. If it does not, the owner calls `failed`, and the round goes on with
the next place.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable

from logd_client.connection import (
    ConnectionFailed,
    Place,
    ServerAddress,
    Steps,
)
from logd_client.descriptors import GuardedSocket
from logd_client.natives import monotonic, wait_ready

__all__ = ["Approach", "NoServer"]


class NoServer(Exception):
    """No place has a server; the text says of each why.

    Attributes:
        is_refusal: True if waiting will hardly help at one of them.
        is_odd: True if a person should hear of it.
    """

    def __init__(self, failures: Iterable[ConnectionFailed]) -> None:
        failures = tuple(failures)
        super().__init__("; ".join(str(failure) for failure in failures))
        self.is_refusal = any(failure.is_refusal for failure in failures)
        self.is_odd = any(failure.is_odd for failure in failures)


class Approach:
    """See the module.

    Args:
        address: has the places.
        opening: makes what to send first, for each place anew.
        place_timeout_s: how long one place may take until the server has answered.
        only: try only this place; and if its host no longer has the address, the others it has.
        avoided: a place to try after the others.
        at_once: `only` is a place whose host needs no look-up.

    Attributes:
        place: the one that is tried.
        deadline: until when it may take (monotonic time).
    """

    def __init__(
        self,
        address: ServerAddress,
        opening: Callable[[], bytes],
        place_timeout_s: float,
        *,
        only: Place | None = None,
        avoided: Place | None = None,
        at_once: bool = False,
    ) -> None:
        self._address = address
        self._opening = opening
        self._place_timeout_s = place_timeout_s
        self._at_once = at_once
        self._failures: list[ConnectionFailed] = []
        self._steps: Steps | None = None
        self._wanted: tuple[int, int] | None = None
        self.deadline = 0.0
        self._only = only
        self._avoided = avoided
        self._left = deque(address.places() if only is None else [Place(only.address)])
        self.place = self._next_place()

    def _next_place(self) -> Place:
        while self._left:
            place = self._left.popleft()
            if place.at is None:
                self._left.extendleft(reversed(self._addresses(place)))
            elif place == self._avoided and self._left:
                self._avoided = None
                self._left.append(place)
            else:
                self._begin(place)
                return place
        raise NoServer(self._failures)

    def _addresses(self, place: Place) -> list[Place]:
        """A place of its own for each address of the host."""
        try:
            find = self._address.resolved if self._at_once else self._address.resolve
            found = [Place(place.address, at) for at in find(place)]
        except OSError as exc:
            self._failures.append(self._address.not_found(place, exc))
            return []
        # What has moved to other addresses is looked for at all of them.
        return [self._only] if self._only in found and self._address.are_servers else found

    def _begin(self, place: Place) -> None:
        self.deadline = monotonic() + self._place_timeout_s
        self._steps = self._address.connecting(place, self._opening())
        self._wanted = None

    @property
    def wanted(self) -> tuple[int, int] | None:
        """Descriptor and events to wait for before `advance`; None if it should be called now."""
        return self._wanted

    def advance(self) -> GuardedSocket | None:
        """Go on as far as possible; returns the socket once the opening is sent.

        Raises:
            NoServer: the round is over.
        """
        while self._steps is not None:
            if self._wanted is not None and not wait_ready([self._wanted], 0.0):
                if monotonic() < self.deadline:
                    return None
                self.too_late()
                continue
            try:
                self._wanted = next(self._steps)
            except StopIteration as done:
                self._steps = self._wanted = None
                return GuardedSocket(done.value)
            except ConnectionFailed as exc:
                self.failed(exc)
        return None

    def too_late(self) -> None:
        """The place has used up its time. Raises as `failed`."""
        self.failed(ConnectionFailed(f"{self.place}: no answer within {self._place_timeout_s:g} s"))

    def failed(self, exc: ConnectionFailed) -> None:
        """The place is none: go on with the next.

        Raises:
            NoServer: there is no other.
        """
        self.close()
        self._failures.append(exc)
        self.place = self._next_place()

    def close(self) -> None:
        """Give up the connection that is being made."""
        steps, self._steps = self._steps, None
        self._wanted = None
        if steps is not None:
            # In a child process they may be in the midst of a step, of a thread that is gone.
            with contextlib.suppress(ValueError):
                steps.close()

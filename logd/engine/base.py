"""What a source of records is, whatever engine is behind it.

A source has partitions. Each is a sequence of numbered messages in the format of `pieces.py`, that
only grows at its end. A store reads each partition into a log of its own (a *ring*), and keeps in
that ring, in the same step as the records, how far it has come. The ring is the only truth about
that: a source is asked to read on behind a number, and may forget what a ring has.

Packages can bring sources of their own: a callable `(address: str, settings: SourceSettings) ->
Source` under the entry point group `logd.sources`; `--source NAME:ADDRESS` selects it by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Message(NamedTuple):
    """A message of a partition.

    Attributes:
        number: where it stands; rising, perhaps with gaps.
        time: when the engine stored it, in seconds since the epoch.
        left: how many messages stand behind it now.
        data: its bytes.
    """

    number: int
    time: float
    left: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """What sources need to know besides their own address.

    Attributes:
        durable: "always" if only an engine will do that syncs before it acknowledges.
        keep_s: for how long messages stay in the engine that all rings have.
    """

    durable: Literal["always", "lazy"] = "always"
    keep_s: float = 3600.0


class PartitionReader(ABC):
    """One partition being read. Used by one thread at a time.

    Attributes:
        place: 16 bytes that name this partition, as it is now, among a ring's marks. Another name
            if the engine has lost it and begun it anew: then numbers begin anew, too.
    """

    place: bytes

    @abstractmethod
    def find(self) -> None:
        """Find the partition, and learn its `place`.

        Raises:
            OutputUnavailable: the engine is away, or the partition is not there yet.
        """

    @abstractmethod
    def start(self, after: int | None) -> int:
        """Read on behind a message's number, or from the first one that is there.

        Returns:
            How many numbers behind `after` are no longer there.

        Raises:
            OutputUnavailable: the engine is away.
        """

    @abstractmethod
    def next(self, timeout_s: float) -> Sequence[Message]:
        """The next messages; none if there are none in time, or the engine is away."""

    @abstractmethod
    def stored(self, number: int) -> None:
        """The ring holds all up to this message, durably; from any thread."""

    @abstractmethod
    def stop(self) -> None:
        """Read no more, until `start`."""


class Source(ABC):
    """A source. Made closed; `open` before anything else.

    Attributes:
        name: what it is called in messages, e.g. "nats LOGD on n1:4222".
        partitions: the numbers of the partitions that are read.
    """

    name: str
    partitions: Sequence[int]

    @abstractmethod
    def open(self) -> None:
        """Connect, and stay connected.

        Raises:
            OutputUnusable: it can't work as configured.
            OutputUnavailable: it is away now; it goes on trying.
        """

    @abstractmethod
    def reading(self, partition: int) -> PartitionReader:
        """A partition, not read yet."""

    @property
    @abstractmethod
    def problem(self) -> str:
        """Why nothing can be read now; "" if that is not so. From any thread."""

    @abstractmethod
    def close(self) -> None:
        """End it; does nothing when closed."""

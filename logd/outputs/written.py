"""What an output holds: how far each session was written, and the watchers of what is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logd.outputs.base import Output, OutputUnavailable
    from logd.outputs.line import Item
    from logd.records.batch import Batch

Watcher = Callable[[Sequence["Batch"], "Output"], None]
"""Sees batches in the thread that wrote them; must be quick and must not raise."""


class Written:
    """How far the sessions are in one output. The thread that writes to it changes this.

    Args:
        marks: client id -> highest sequence number that the output holds from earlier runs.

    Attributes:
        marks: the same as of now.
        watchers: shown each batch right after it was written; replaced as a whole.
    """

    def __init__(self, marks: Mapping[bytes, int]) -> None:
        self.marks = dict(marks)
        self.watchers: tuple[Watcher, ...] = ()

    def forget(self, clients: Sequence[bytes]) -> None:
        """Drop the marks of sessions that are gone."""
        for client in clients:
            self.marks.pop(client, None)

    def without_known(self, items: Sequence[Item]) -> Sequence[Batch]:
        """The batches of `items` without what the output holds already."""
        unknown: list[Batch] = []
        seen: dict[bytes, int] = {}
        for item in items:
            for batch in item.batches:
                client = batch.client
                if client is None:
                    unknown.append(batch)
                    continue
                mark = seen.get(client) or self.marks.get(client, 0)
                rest = batch if mark < batch.first else batch.after(mark)
                if rest is not None:
                    seen[client] = rest.last
                    unknown.append(rest)
        return unknown

    def note(
        self, batches: Sequence[Batch], output: Output, new: Sequence[Batch] | None = None
    ) -> None:
        """Batches are in the output; by this one only those that are `new`, if that is not all."""
        for batch in batches:
            if batch.client is not None:
                self.marks[batch.client] = batch.last
        if self.watchers:
            seen = [batch for batch in (batches if new is None else new) if len(batch)]
            for watcher in self.watchers:
                watcher(seen, output)


def written_before(batches: Sequence[Batch], exc: OutputUnavailable) -> list[Batch]:
    """What of `batches` was written before a write ended in `exc`."""
    done = list(batches[: exc.batches_done])
    if exc.rows_done:
        done.append(batches[exc.batches_done].part(0, exc.rows_done))
    return done


def left_after(batches: Sequence[Batch], exc: OutputUnavailable) -> list[Batch]:
    """What is left of `batches` after a write that ended in `exc`."""
    rest = list(batches[exc.batches_done :])
    if rest and exc.rows_done:
        rest[0] = rest[0].part(exc.rows_done, len(rest[0]))
    return rest

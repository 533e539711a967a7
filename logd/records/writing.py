"""How a batch reaches a writer: whole if the writer takes batches, else record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logd.records.batch import Batch


def takes_batches(writer: Any) -> bool:
    """Whether `write_batch` is the writer's own way to write.

    Not so if a subclass has a `writeNow` of its own: what that does to records must happen to
    all of them, so each has to pass through it.
    """
    for cls in type(writer).__mro__:
        if "write_batch" in vars(cls):
            return True
        if "writeNow" in vars(cls):
            return False
    return hasattr(writer, "write_batch")


def write_records(writer: Any, batch: Batch) -> None:
    """Write the batch; returns when the writer has written it."""
    if takes_batches(writer):
        writer.write_batch(batch)
    else:
        for job in batch.jobs():
            writer.writeNow(job)

"""How much decoded records are charged in the queue's budget, beyond their bytes on the wire."""

from __future__ import annotations

from logd.records.batch import Batch
from logd.records.context import ContextItems

BATCH_BYTES = 1000
RECORD_BYTES = 200
SPECIAL_BYTES = 300
ITEM_BYTES = 100
CONTEXT_BYTES = 400
"""About what decoding makes of what was received, besides texts: a batch itself, each record, its
special items, each of them, and a context."""

WEIGHT_ALLOWED = 4
"""Decoded records may weigh this many times what they were on the wire; beyond that the budget is
charged for it. Ordinary records stay below. If each has items, one can make it 40 times."""


def weight_of(batch: Batch) -> int:
    """What a batch counts in the budget at least, in bytes."""
    special = batch.special
    size = BATCH_BYTES + RECORD_BYTES * len(batch) + CONTEXT_BYTES * len(batch.contexts)
    if special:
        each = special.different if isinstance(special, ContextItems) else special.values()
        size += SPECIAL_BYTES * len(each) + ITEM_BYTES * sum(map(len, each))
    return size // WEIGHT_ALLOWED

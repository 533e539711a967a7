"""Collects records one by one into the columns of a `Batch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

from logd.records.batch import Batch
from logd.records.context import Context, ContextItems, Special
from logd.wire.limits import MAX_ROWS
from logd.wire.logrecords import LogRecordParts
from logd.wire.templates import Template

_MSGID = attrgetter("msgid")
_NO_ITEMS: Special = {}

_Key = Context | Template | tuple[Template]
"""Of a context: its fields; a template whose items its records share; or, in a tuple, one whose
records have items of their own."""


class Columns:
    """The records of one delivery, in order, contexts kept once for each way they are found.

    Decoders of single records append to it; it lives for one delivery.

    Args:
        peer: where the records come from, for the batches.
    """

    __slots__ = (
        "_batches",
        "_contexts",
        "_index",
        "_msgids",
        "_msgs",
        "_peer",
        "_positions",
        "_shared",
        "_special",
        "_times",
    )

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._batches: list[Batch] = []
        self._start()

    def _start(self) -> None:
        self._contexts: list[Context] = []
        self._shared: list[Special] = []
        """For each context the items that its records share."""
        self._positions: dict[_Key, int] = {}
        """Of contexts in `_contexts`, by what led to them."""
        self._index: list[int] = []
        self._msgids: list[int] = []
        self._times: list[float] = []
        self._msgs: list[str] = []
        self._special: dict[int, Special] = {}

    def add(self, context: Context, msgid: int, time: float, msg: str, special: Special) -> None:
        """Append one checked record."""
        if len(self._msgs) == MAX_ROWS:
            self._finish()
        if special:
            self._special[len(self._msgs)] = special
        self._index.append(self._position(context, context))
        self._msgids.append(msgid)
        self._times.append(time)
        self._msgs.append(msg)

    def add_log_record(self, record: LogRecordParts) -> None:
        """Append a checked `LogRecord`."""
        context, msgid, time, msg, appendix, special = record
        self.add(context, msgid, time, msg + appendix, special)

    def add_repeated(self, template: Template, time: float, msg: str, special: Special) -> None:
        """Append a record that a template was found for.

        Its context is looked up by template, as hashing one by its fields costs 0.5 us.
        """
        if len(self._msgs) == MAX_ROWS:
            self._finish()
        if special is template.special:
            position = self._position(template, template.context, special)
        else:
            position = self._position((template,), template.context)
            if special:
                self._special[len(self._msgs)] = special
        self._index.append(position)
        self._msgids.append(template.msgid)
        self._times.append(time)
        self._msgs.append(msg + template.appendix if template.appendix else msg)

    def add_all_repeated(
        self, templates: Sequence[Template], times: Sequence[float], msgs: Sequence[str]
    ) -> None:
        """Append records that templates were found for, at most `MAX_ROWS`; the times are checked.

        Most of it is done once for each different template.
        """
        count = len(templates)
        if len(self._msgs) + count > MAX_ROWS:
            self._finish()
        different = dict.fromkeys(templates)
        for template in different:
            self._position(template, template.context, template.special)
        if any(template.appendix for template in different):
            msgs = [msg + template.appendix for msg, template in zip(msgs, templates, strict=True)]
        self._index += map(self._positions.__getitem__, templates)
        self._msgids += map(_MSGID, templates)
        self._times += times
        self._msgs += msgs

    def _position(self, key: _Key, context: Context, shared: Special = _NO_ITEMS) -> int:
        """Where among the contexts that of `key` is; it is added if the key is new."""
        position = self._positions.get(key)
        if position is None:
            position = self._positions[key] = len(self._contexts)
            self._contexts.append(context)
            self._shared.append(shared)
        return position

    def _finish(self) -> None:
        if self._msgs:
            special: Mapping[int, Special] = self._special
            if any(self._shared):
                special = ContextItems(self._shared, self._index, self._special)
            batch = Batch(
                tuple(self._contexts),
                self._index,
                self._msgids,
                self._times,
                self._msgs,
                special,
                peer=self._peer,
            )
            self._batches.append(batch)
            self._start()

    def batches(self) -> list[Batch]:
        """All that was added, as few batches as possible; the columns are empty afterwards."""
        self._finish()
        return self._batches

"""Turns batches into columns of a table's values, ready for any database.

The hot path of database outputs: what the records of one place share is made once per place and
batch, the rest is whole columns that mostly pass through as they came. How the columns become
rows (tuples, COPY text, parameters) is the database's affair, see `backend.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from logd.outputs.tables.fit import Fit, IntegerFit, TextFit, TimestampFit, fit_for
from logd.outputs.tables.itemtexts import json_writer
from logd.records.callpath import ShortNames

if TYPE_CHECKING:
    from logd.outputs.tables.columns import ColumnSpec
    from logd.records.batch import Batch
    from logd.records.callpath import PathFormatter
    from logd.records.context import Context, Special

# If no `LogServer` has seen the batch (tests, tools).
_SHORT_NAMES = ShortNames()

# Values of contexts are kept for the next batches of the same sender: at most this many, and none
# that has more text than this.
_KNOWN_CONTEXTS = 4096
_KNOWN_CHARS = 2048


@dataclass(frozen=True, slots=True)
class Sparse:
    """A column in which most records have the same value.

    Attributes:
        default: that value.
        values: row -> value of the others.
    """

    default: Any
    values: Mapping[int, Any]

    def filled(self, length: int, convert: Callable[[Any], Any] | None = None) -> list[Any]:
        """All values, each as `convert` makes it."""
        default = self.default if convert is None else convert(self.default)
        column = [default] * length
        for row, value in self.values.items():
            column[row] = value if convert is None else convert(value)
        return column


@dataclass(frozen=True, slots=True)
class RowColumns:
    """The values of some records, in columns.

    Attributes:
        contexts: for each context of the batch the values of the columns that it fills.
        index: for each record the position of its context.
        columns: the other columns: one value a record each, or `Sparse`.
    """

    contexts: Sequence[tuple[Any, ...]]
    index: Sequence[int]
    columns: Sequence[Sequence[Any] | Sparse]

    def full_columns(self) -> list[Sequence[Any]]:
        """`columns` with one value a record in each."""
        length = len(self.index)
        return [
            column.filled(length) if isinstance(column, Sparse) else column
            for column in self.columns
        ]

    def values(self) -> Iterator[Any]:
        """All values, row after row: context columns first."""
        shared = map(self.contexts.__getitem__, self.index)
        rows = zip(shared, zip(*self.full_columns(), strict=True), strict=True)
        return chain.from_iterable(chain.from_iterable(rows))


class RowMaker:
    """Makes `RowColumns` of batches for tables with the given columns.

    Args:
        columns: the table's.
        dialect_name: "sqlite", "postgresql" or "mysql" (MariaDB too).
        max_text_bytes: what one text may have at most in a statement; None for no limit.
        codec: see `TextFit`.

    Attributes:
        context_columns: names of the columns that contexts fill, as in `RowColumns.contexts`.
        record_columns: names of the others, as in `RowColumns.columns`.
    """

    def __init__(
        self,
        columns: Sequence[ColumnSpec],
        dialect_name: str,
        max_text_bytes: int | None = None,
        codec: str | None = None,
    ) -> None:
        context_specs = [spec for spec in columns if spec.source == "context"]
        record_specs = [spec for spec in columns if spec.source != "context"]
        self.context_columns = [spec.name for spec in context_specs]
        self.record_columns = [spec.name for spec in record_specs]

        def fit(spec: ColumnSpec) -> Fit:
            return fit_for(spec.kind, dialect_name, max_text_bytes, codec)

        self._context_fits = [(spec.name, fit(spec)) for spec in context_specs]
        self._known: dict[tuple[Context, str], tuple[Any, ...]] = {}
        self._formatter: PathFormatter = _SHORT_NAMES
        self._makers = [
            _column_maker(spec, fit(spec), json_writer(spec.kind, dialect_name, codec))
            for spec in record_specs
        ]

    def rows(self, batch: Batch, first_id: int) -> RowColumns:
        """The rows of `batch`; their ids count up from `first_id`."""
        return RowColumns(
            self.contexts(batch),
            batch.index,
            [make(batch, first_id) for make in self._makers],
        )

    def contexts(self, batch: Batch) -> list[tuple[Any, ...]]:
        """The values of a batch's contexts, as they are written."""
        formatter = batch.formatter or _SHORT_NAMES
        if formatter is not self._formatter:
            self._known.clear()
            self._formatter = formatter
        known, peer = self._known, batch.peer
        return [
            known.get((context, peer)) or self._new_values(context, peer, formatter)
            for context in batch.contexts
        ]

    def _new_values(self, context: Context, peer: str, formatter: PathFormatter) -> tuple[Any, ...]:
        values = tuple(
            fit(_context_value(name, context, peer, formatter)) for name, fit in self._context_fits
        )
        if sum(len(value) for value in values if isinstance(value, str)) <= _KNOWN_CHARS:
            if len(self._known) >= _KNOWN_CONTEXTS:
                self._known.clear()
            self._known[context, peer] = values
        return values


def _context_value(name: str, context: Context, peer: str, formatter: PathFormatter) -> object:
    match name:
        case "peer":
            return peer
        case "path":
            return formatter.pathAsStr(context.path)
        case "cfn":
            return formatter.format_fname(context.path[0][0]) if context.path else None
        case "cln":
            return context.path[0][1] if context.path else None
        case _:
            return cast(object, getattr(context, name))


_ColumnMaker = Callable[["Batch", int], "Sequence[Any] | Sparse"]


def _column_maker(spec: ColumnSpec, fit: Fit, to_json: Callable[[Special], str]) -> _ColumnMaker:
    match spec.name:
        case "id":
            return lambda batch, first_id: range(first_id, first_id + len(batch))
        case "time" if isinstance(fit, TimestampFit):
            return lambda batch, _first_id: fit.texts(batch.time)
        case "time":
            return lambda batch, _first_id: batch.time
        case "msgid" if isinstance(fit, IntegerFit):
            return lambda batch, _first_id: fit.integers(batch.msgid)
        case "msgid":
            return lambda batch, _first_id: list(map(fit, batch.msgid))
        case "msg" if isinstance(fit, TextFit):
            return lambda batch, _first_id: fit.texts(batch.msg)
        case "ts" if isinstance(fit, TextFit):
            return lambda batch, _first_id: fit.texts(batch.ts or [""] * len(batch))
        case "msg":
            return lambda batch, _first_id: list(map(fit, batch.msg))
        case "ts":
            return lambda batch, _first_id: list(map(fit, batch.ts or [""] * len(batch)))
        case "special":
            return lambda batch, _first_id: Sparse(
                None,
                _once_each(batch.special, lambda items: fit(to_json(items)) if items else None),
            )
        case _:
            return _item_maker(spec, fit)


def _item_maker(spec: ColumnSpec, fit: Fit) -> _ColumnMaker:
    name = spec.name
    default = spec.options.get("default")

    def make(batch: Batch, _first_id: int) -> Sparse:
        values = {row: fit(items[name]) for row, items in batch.special.items() if name in items}
        return Sparse(default() if callable(default) else default, values)

    return make


def _once_each(
    special: Mapping[int, Special], make: Callable[[Special], object]
) -> Mapping[int, object]:
    """What `make` makes of each record's items.

    The records of a logger share one object for them, so there is little to make, and the rest is
    done in C.
    """
    keys = list(map(id, special.values()))
    different = dict(zip(keys, special.values(), strict=True))
    made = {key: make(items) for key, items in different.items()}
    return dict(zip(special, map(made.__getitem__, keys), strict=True))

"""Describes a log table of an app's own (`logd.dbwriter_sa`, whose documented names these are)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Integer as IntegerType
from sqlalchemy import String as StringType
from sqlalchemy import make_url

from logd.outputs.tables.columns import ColumnError, ColumnSpec, check_name, column_specs
from logd.server import ColumnConfigurationMismatch

ColumnConfig = Sequence[Any]
"""(column name, type) or (column name, type, keyword arguments for SQLAlchemy's `Column`)."""

# A log call has parameters of these names, so no item of `special` can be given by them.
_PARAMETERS = frozenset({"message", "traceDepth"})


class _Coltypes:
    """Column types."""

    Integer = IntegerType
    String = StringType


class DBConfig(_Coltypes):
    """Describes a single log table; rotation needs one for each table.

    Args:
        engineStr: SQLAlchemy engine str; mysql:// and mariadb:// use PyMySQL unless they name
            another driver.
        tablename: name of the table: letters, digits and underscores.
        drop: True: a new writer drops an existing table, if it is one that a log left there.
            False: it appends to it, which makes no sense with rotation.
        cols: all columns as (name, type) or (name, type, keyword arguments for SQLAlchemy's
            `Column`); type is `DBConfig.Integer` or `DBConfig.String`. None: `COLS_DEFAULT`. To
            add one: `cols=DBConfig.COLS_DEFAULT + (("mycolumn", DBConfig.Integer),)`; it is filled
            by the item of that name in a log call's `special`.

    Raises:
        ColumnConfigurationMismatch: a column is impossible; names it and the reason.
        ValueError: the table's name is not a plain one.
    """

    COLS_DEFAULT: tuple[ColumnConfig, ...] = (
        ("pid", _Coltypes.Integer),
        ("threadname", _Coltypes.String(32)),
        ("msgid", _Coltypes.Integer),
        ("ts", _Coltypes.String(32)),
        ("cat", _Coltypes.String(1)),
        ("msg", _Coltypes.String(512)),
        ("cfunc", _Coltypes.String(32)),
        ("cfn", _Coltypes.String(32)),
        ("cln", _Coltypes.Integer),
        ("path", _Coltypes.String(512)),
    )

    def __init__(
        self,
        engineStr: str,
        tablename: str,
        drop: bool = True,
        cols: Iterable[ColumnConfig] | None = None,
    ) -> None:
        try:
            self.tablename = check_name(tablename)
        except ColumnError as error:
            raise ValueError(f"table {tablename!r}: {error.reason}") from error
        self.engineStr = engineStr
        self.drop = drop
        self.cols = self.COLS_DEFAULT if cols is None else tuple(cols)
        specs_of(self.cols)

    def __repr__(self) -> str:
        url = make_url(self.engineStr).render_as_string(hide_password=True)
        return f"DBConfig({url!r}, {self.tablename!r}, drop={self.drop})"


def specs_of(config: Iterable[ColumnConfig]) -> list[ColumnSpec]:
    """The columns of a table.

    Raises:
        ColumnConfigurationMismatch: a column is impossible; names it and the reason.
    """
    try:
        specs = column_specs(tuple(config))
        for spec in specs:
            if spec.name in _PARAMETERS:
                raise ColumnError(spec.name, "already reserved by a parameter of the log call")
    except ColumnError as error:
        raise ColumnConfigurationMismatch(str(error)) from error
    return specs

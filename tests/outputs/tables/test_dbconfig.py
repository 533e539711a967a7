"""The description of a log table of an app's own."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Integer

from logd.dbwriter_sa import (
    DBConfig,
    DBLogWriter,
)
from logd.server import ColumnConfigurationMismatch


def test_config_keeps_what_it_was_given() -> None:
    """drop defaults to True and cols to None, which means `COLS_DEFAULT`."""
    config = DBConfig("sqlite://", "log_0")
    assert (config.engineStr, config.tablename, config.drop) == ("sqlite://", "log_0", True)
    assert config.cols == DBConfig.COLS_DEFAULT
    assert "geheim" not in repr(DBConfig("postgresql://u:geheim@h/d", "log_0"))


@pytest.mark.parametrize(
    ("cols", "expected"),
    [
        ([("msg", Integer), ("msg", Integer)], "'msg': already reserved by another column"),
        ([("msg", Integer), ("MSG", Integer)], "'MSG': already reserved by another column"),
        ([("traceDepth", Integer)], "'traceDepth': already reserved by a parameter"),
        ([("a; DROP TABLE x", Integer)], "expected a name of 1 to 63 letters"),
        ([("", Integer)], "expected a name"),
        ([("a", int)], "'a': expected DBConfig.Integer or DBConfig.String, got <class 'int'>"),
        ([("a",)], "expected (name, type)"),
        ([("a", Integer, "primary")], "'a': expected a dict of keyword arguments"),
        (["pid"], "expected (name, type)"),
    ],
)
def test_impossible_columns_are_named_with_the_reason(cols: Any, expected: str) -> None:
    """`ColumnConfigurationMismatch` tells which column is impossible and why."""
    with pytest.raises(ColumnConfigurationMismatch) as caught:
        DBConfig("sqlite://", "log_0", cols=cols)
    assert expected in str(caught.value)
    with pytest.raises(ColumnConfigurationMismatch):
        DBLogWriter.createColumns(cols)


@pytest.mark.parametrize("name", ["", "1log", 'log"', "log-0", "log;", "x" * 64, None])
def test_impossible_table_names_are_refused(name: Any) -> None:
    """A table's name is a plain one, so that it can't be anything else in SQL."""
    with pytest.raises(ValueError, match=r"table .* expected a name"):
        DBConfig("sqlite://", name)

"""Values made to fit database columns: one by one, by columns, and in real databases."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Double, Integer, SmallInteger, String, Text
from sqlalchemy.dialects.mysql import LONGTEXT, MEDIUMTEXT, TINYTEXT

from logd.outputs.tables.columns import LongText
from logd.outputs.tables.fit import IntegerFit, TextFit, fit_for, fit_number, is_storable, storable
from logd.outputs.tables.itemtexts import json_text

if TYPE_CHECKING:
    from tests.outputs.table_making import Outputs

# Surrogates too, which the default alphabet leaves out.
any_text = st.text(st.characters(exclude_categories=()), max_size=40)


@given(any_text)
def test_every_text_becomes_storable(text: str) -> None:
    """What no database stores is escaped visibly; all else stays as it is."""
    stored = storable(text)
    assert is_storable(stored)
    assert "\0" not in stored
    stored.encode()
    assert (stored == text) == is_storable(text)


@given(
    st.lists(any_text, min_size=1, max_size=8),
    st.none() | st.integers(1, 20),
    st.none() | st.integers(3, 30),
)
@example(["ab", "\udc80"], 4, None)
def test_a_column_of_texts_is_fitted_as_each_would_be(
    texts: list[str], max_chars: int | None, max_bytes: int | None
) -> None:
    """The fast way over whole columns gives what each text alone gives, within the limits."""
    fit = TextFit(max_chars, max_bytes)
    fitted = list(fit.texts(texts))
    assert fitted == [fit(text) for text in texts]
    for text, made in zip(texts, fitted, strict=True):
        assert max_chars is None or len(made) <= max_chars
        assert max_bytes is None or len(made.encode()) <= max_bytes
        assert made == storable(text) or made.endswith("…")


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [
        (2**31 - 1, 32, 2**31 - 1),
        (2**31, 32, None),
        (-(2**31), 32, -(2**31)),
        (-(2**31) - 1, 32, None),
        (True, 32, 1),
        (" -17 ", 32, -17),
        ("9" * 20, 64, None),
        ("x", 32, None),
        ("\u0661", 32, None),
        (3.0, 32, 3),
        (3.5, 32, None),
        (math.inf, 32, None),
        (math.nan, 32, None),
        (None, 32, None),
        ([1], 32, None),
    ],
)
def test_integers(value: object, bits: int, expected: int | None) -> None:
    """Whole numbers within the column's range fit; everything else becomes NULL."""
    assert IntegerFit(bits)(value) == expected


@given(st.lists(st.integers(-(2**70), 2**70), max_size=8))
def test_a_column_of_integers_is_fitted_as_each_would_be(values: list[int]) -> None:
    """The fast way over whole columns gives what each integer alone gives."""
    fit = IntegerFit(64)
    assert list(fit.integers(values)) == [fit(value) for value in values]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        ("2.5", 2.5),
        (math.nan, None),
        ("inf", None),
        ("x", None),
        (10**400, None),
        ([], None),
    ],
)
def test_floating_point_numbers(value: object, expected: float | None) -> None:
    """Finite numbers fit a column of floating-point numbers."""
    assert fit_number(value) == expected


@pytest.mark.parametrize(
    ("kind", "dialect", "expected"),
    [
        (String(10), "sqlite", TextFit(10)),
        (Text(), "postgresql", TextFit()),
        (Text(), "mysql", TextFit(None, 65_535)),
        (TINYTEXT(), "mysql", TextFit(None, 255)),
        (MEDIUMTEXT(), "mysql", TextFit(None, 2**24 - 1)),
        (LONGTEXT(), "mysql", TextFit()),
        (LongText, "mysql", TextFit()),
        (Integer(), "postgresql", IntegerFit(32)),
        (Integer(), "sqlite", IntegerFit(64)),
        (BigInteger(), "mysql", IntegerFit(64)),
        (SmallInteger(), "mysql", IntegerFit(16)),
        (Double(), "mysql", fit_number),
    ],
)
def test_limits_follow_type_and_database(kind: Any, dialect: str, expected: object) -> None:
    """Limits are in characters, but for MariaDB's TEXT, whose are in bytes."""
    assert fit_for(kind, dialect) == expected


def test_statements_limit_texts_too() -> None:
    """Where one statement carries less than the column holds, that is the limit."""
    assert fit_for(LongText, "mysql", 1000) == TextFit(None, 1000)


def test_other_types_keep_their_values() -> None:
    """A type that logd knows nothing of gets the value as it is, if it can be stored at all."""
    fit = fit_for(Boolean(), "sqlite")
    assert fit(True) is True
    assert fit("a\0") == "a\\x00"


@given(
    st.dictionaries(
        any_text,
        any_text | st.integers(-(10**30), 10**30) | st.floats() | st.booleans() | st.none(),
        max_size=5,
    )
)
def test_special_items_become_storable_json(items: dict[str, Any]) -> None:
    """Whatever items a record has, their text is a JSON object that every database stores."""
    text = json_text(items)
    assert is_storable(text)
    made = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(made, dict)
    assert len(made) <= len(items)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(any_text, any_text, st.floats(0, 2**37), st.integers(-(2**63), 2**63 - 1)),
        min_size=1,
        max_size=60,
    )
)
@example([("\\", "\t", 0.1, 1), ("'\\'", "\\N", 1e-300, 2), ("%s", "", 2.0**37, 3)])
def test_any_record_comes_back_from_a_database(
    outputs: Outputs, records: list[tuple[str, str, float, int]]
) -> None:
    """Texts, times and numbers are in the row as they were sent, or as their escaped text."""
    output = outputs.opened()
    output.rotate()
    table = output.status().current
    batch = outputs.batch(msgs=[record[0] for record in records])
    batch.time = [record[2] for record in records]
    batch.msgid = [record[3] for record in records]
    batch.special = {row: {"item": record[1]} for row, record in enumerate(records)}
    output.write([batch])
    output.close()
    rows = outputs.database.rows(table, "id")
    assert [(row["msg"], row["msgid"]) for row in rows] == [
        (storable(msg), msgid) for msg, _, _, msgid in records
    ]
    times = [row["time"] for row in rows]
    assert times == pytest.approx([record[2] for record in records], abs=1.1e-6, rel=0)
    items = [json.loads(row["special"])["item"] for row in rows]
    assert [storable(item) for item in items] == [storable(record[1]) for record in records]

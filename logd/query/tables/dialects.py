"""What the kinds of database say differently when they are asked: exact texts, times, JSON.

What is equal here is equal letter by letter, as in Python, whatever collation a column has.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
)
from sqlalchemy import cast as sql_cast

MAX_TIME = 253_000_000_000
"""In the year 9987: no calendar of Python's has much later times, in seconds since the epoch."""

_MIN_TIME = -62_135_596_800  # the year 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ARROW = "<-"


def is_equal(column: ColumnElement[Any], value: str, dialect: str) -> ColumnElement[bool]:
    """Whether a text is this one, letter by letter."""
    if dialect != "mysql":
        return column == value
    # Blanks at the end make no difference there.
    return and_(column == value, func.octet_length(column) == len(value.encode()))


def grouped(column: ColumnElement[Any], dialect: str) -> list[ColumnElement[Any]]:
    """What rows are grouped by for the texts of a column, which come first."""
    return [column, func.octet_length(column)] if dialect == "mysql" else [column]


def contains(column: ColumnElement[Any], text: str, dialect: str) -> ColumnElement[bool]:
    """Whether a text is in a column, letter by letter: LIKE has its own ideas of case."""
    if dialect == "postgresql":
        return func.strpos(column, text) > 0
    return func.instr(column, text) > 0


def begins(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Whether a column begins with a text."""
    return func.substr(column, 1, len(text)) == text


def first_step(path: ColumnElement[Any], dialect: str) -> ColumnElement[str]:
    """What stands before the first arrow of a call path."""
    if dialect == "postgresql":
        return func.split_part(path, _ARROW, 1)
    if dialect == "mysql":
        return func.substring_index(path, _ARROW, 1)
    place = func.instr(path, _ARROW)
    return case((place > 0, func.substr(path, 1, place - 1)), else_=path)


def is_true(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same if nothing is neither true nor false: NULL counts as false."""
    return func.coalesce(condition, literal_column("false", Boolean()))


def moment(seconds: float, *, is_timestamp: bool) -> ColumnElement[Any]:
    """A time to compare a column of times with.

    Args:
        seconds: since the epoch; infinite ones are allowed.
        is_timestamp: whether the column has timestamps, not numbers.
    """
    if not is_timestamp:
        return literal(seconds)
    text = "infinity" if seconds > 0 else "-infinity"
    if _MIN_TIME <= seconds < MAX_TIME:
        text = str(_EPOCH + timedelta(microseconds=-int(-seconds * 1e6 // 1)))
    return literal_column(f"'{text}'::timestamptz")


def seconds_of(column: ColumnElement[Any], *, is_timestamp: bool) -> ColumnElement[Any]:
    """A column of times as seconds since the epoch."""
    return func.date_part("epoch", column) if is_timestamp else column


def stretch(
    column: ColumnElement[Any],
    width_s: int,
    dialect: str,
    *,
    is_timestamp: bool,
    can_bin: bool = False,
) -> ColumnElement[Any]:
    """When the stretch of time begins that a time is in, see `second_of`.

    NULL for times that no calendar has.

    Args:
        column: of times.
        width_s: of a stretch, in seconds.
        dialect: SQLAlchemy's name for the kind of database.
        is_timestamp: whether the column has timestamps, not numbers.
        can_bin: whether the server knows `date_bin`, a third of the work.
    """
    if is_timestamp and can_bin:
        begin = func.date_bin(
            literal_column(f"'{int(width_s)} seconds'::interval"),
            column,
            literal_column(f"'{_EPOCH}'::timestamptz"),
        )
        # Years that Python's calendar has, whatever the offset from UTC.
        first: ColumnElement[Any] = literal_column("'0002-01-01'::timestamptz")
        behind: ColumnElement[Any] = literal_column("'9987-01-01'::timestamptz")
        return case((and_(column >= first, column < behind), begin))
    is_time = and_(
        column > moment(-MAX_TIME, is_timestamp=is_timestamp),
        column < moment(MAX_TIME, is_timestamp=is_timestamp),
    )
    second = _whole(seconds_of(column, is_timestamp=is_timestamp), dialect)
    rest = second % width_s
    # The rest of a negative number is negative.
    return case((is_time, second - case((rest < 0, rest + width_s), else_=rest)))


def second_of(value: object) -> int | None:
    """What `stretch` gave, in seconds since the epoch."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    return None if value is None else int(str(value))


def _whole(column: ColumnElement[Any], dialect: str) -> ColumnElement[int]:
    if dialect != "sqlite":
        return sql_cast(func.floor(column), BigInteger())
    # SQLite may have been built without floor(), and its cast cuts off.
    cut = sql_cast(column, Integer())
    return cut - sql_cast(column < cut, Integer())


def has_item(items: ColumnElement[Any], key: str) -> ColumnElement[bool]:
    """Whether an object of PostgreSQL's has a key."""
    return func.jsonb_exists(items, key)


def item_as_text(items: ColumnElement[Any], key: str) -> ColumnElement[str]:
    """The value of a key in an object of PostgreSQL's, a string without quotes."""
    return cast("ColumnElement[str]", items.op("->>")(literal(key, Text())))


def item_as_json(items: ColumnElement[Any], key: str) -> ColumnElement[str]:
    """The same as JSON, in a text: 1 and 1.0 differ."""
    return sql_cast(items.op("->")(literal(key, Text())), Text())


def item_of_text(items: ColumnElement[Any], key: str) -> list[ColumnElement[Any]]:
    """Type and value of a key in a JSON text of SQLite's; NULL if the text is not JSON.

    Args:
        items: the text.
        key: without quotes and backslashes.

    Returns:
        Behind them the text, if the value is an integer too large for SQLite.
    """
    path = f'$."{key}"'
    is_json = func.json_valid(items)
    kind, value = func.json_type(items, path), func.json_extract(items, path)
    is_large = and_(kind == "integer", func.typeof(value) == "real")
    return [case((is_json, kind)), case((is_json, value)), case((and_(is_json, is_large), items))]

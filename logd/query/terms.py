"""One condition of a selection: a field, how it is compared, and with what. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from logd.errors import LogdError
from logd.query.fields import TEXT, has, values
from logd.records.entry import Entry

Operator = Literal["=", "<", "<=", ">", ">=", "~", "has"]
"""Equal (with "*" for any characters), compared as numbers, found by a regular expression, or
there at all."""

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": float.__lt__,
    "<=": float.__le__,
    ">": float.__gt__,
    ">=": float.__ge__,
}

WILDCARD = "*"
"""Stands for any characters in a value; none of it in the text that is looked for."""

_NUMBERS_ONLY = frozenset({"tid", "msgid"})
_PID = re.compile(r"-?\d{1,20}(?:@.+)?")


class WrongSelection(LogdError, ValueError):
    """A selection can't be understood, or can never match; the text says why."""


@dataclass(frozen=True)
class Term:
    """One condition.

    Attributes:
        field: its name, see `logd.query.fields`.
        operator: see `Operator`. The field `text` has "=" for "contains" and "~".
        value: what the field is compared with; nothing for "has".
        is_not: whether the condition must not be fulfilled.
        ignore_case: whether "a" and "A" are the same.
        bound: above 0: what somebody may see at all. It is no alternative to conditions with
            another number, and no facet counts without it.

    Raises:
        WrongSelection: nothing can ever match it.
    """

    field: str
    operator: Operator
    value: str = ""
    is_not: bool = False
    ignore_case: bool = False
    bound: int = 0

    def __post_init__(self) -> None:
        if not self.field:
            raise WrongSelection(f"{self.operator}{self.value}: expected a field before it")
        if self.operator == "~":
            try:
                self.pattern  # noqa: B018 - compiled now, to know that it can be
            except (re.error, RecursionError, OverflowError) as exc:
                raise WrongSelection(f"{self.value!r} is no regular expression: {exc}") from None
        elif self.operator in COMPARISONS:
            if not _is_number(self.value):
                raise WrongSelection(
                    f"{self.field}{self.operator}{self.value}: expected a number, "
                    f"got {self.value!r}"
                )
        elif self.operator == "=":
            self._check_value()

    def _check_value(self) -> None:
        is_number = WILDCARD in self.value or (
            re.fullmatch(r"-?\d{1,40}", self.value) is not None
            if self.field in _NUMBERS_ONLY
            else _PID.fullmatch(self.value) is not None
        )
        if self.field in (*_NUMBERS_ONLY, "pid") and not is_number:
            raise WrongSelection(f"{self.field} is a number, not {self.value!r}")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression of "~" and of values with wildcards."""
        flags = re.IGNORECASE if self.ignore_case else 0
        if self.operator == "~":
            return re.compile(self.value, flags)
        if self.field == TEXT:
            return re.compile(re.escape(self.value), flags)
        text = ".*".join(map(re.escape, self.value.split(WILDCARD)))
        return re.compile(text, flags | re.DOTALL)

    @property
    def is_plain(self) -> bool:
        """Whether it wants one text, letter by letter."""
        return self.operator == "=" and not self.ignore_case and not self.has_wildcard

    @property
    def has_wildcard(self) -> bool:
        """Whether its value stands for several."""
        return self.operator == "=" and self.field != TEXT and WILDCARD in self.value

    @cached_property
    def test(self) -> Callable[[Entry], bool]:
        """Whether an entry fulfils it; `is_not` is left to the caller."""
        field, value = self.field, self.value
        if self.operator == "has":
            return lambda entry: has(entry, field)
        if field == TEXT:
            if self.is_plain:
                return lambda entry: value in entry.msg
            search = self.pattern.search
            return lambda entry: search(entry.msg) is not None
        if self.operator in COMPARISONS:
            return self._compare
        if self.operator == "~":
            find = self.pattern.search
            return lambda entry: any(map(find, values(entry, field)))
        if self.is_plain:
            return lambda entry: value in values(entry, field)
        match = self.pattern.fullmatch
        return lambda entry: any(map(match, values(entry, field)))

    def _compare(self, entry: Entry) -> bool:
        compare, limit = COMPARISONS[self.operator], float(self.value)
        for text in values(entry, self.field):
            try:
                if compare(float(text), limit):
                    return True
            except ValueError:
                continue
        return False


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False

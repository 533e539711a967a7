"""What a request wants to see: its parameters, checked, as a selection with times."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from logd.errors import LogdError
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.query.terms import Term, WrongSelection

MAX_CONDITIONS = 100
_RELATIVE = re.compile(r"-([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|min|m|h|d|w)")
_SECONDS = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,12})?")
_UNITS_S = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LATEST_S = 253_402_300_800.0
"""The year 10000, the end of what a record's time can be."""


class BadParameter(LogdError):
    """A request asks for something that can't be; the text names the parameter."""


Parameters = Mapping[str, Sequence[str]]
"""Name -> values, in the order of the address."""


@dataclass(frozen=True)
class Wanted:
    """A selection, and the times that were asked for.

    Attributes:
        terms: the conditions.
        since: earliest time, None for the beginning of the log.
        until: the time before which records were logged; None for now.
    """

    terms: tuple[Term, ...]
    since: float | None
    until: float | None

    def selection(self) -> Selection:
        """The records that are wanted."""
        return Selection(since=self.since, until=self.until, terms=self.terms)


def wanted(parameters: Parameters, only: Sequence[str] = (), now: float | None = None) -> Wanted:
    """What a request asks for.

    Args:
        parameters: `q`, `f` (repeated), `x` (repeated), `from`, `to`, `case`.
        only: conditions of the user's role, and-ed on the server: lines of the grammar.
        now: the time that relative times count from.

    Raises:
        BadParameter: says which parameter, and what is wrong with it.
        WrongSelection: a condition can't be understood.
    """
    now = time.time() if now is None else now
    free = one(parameters, "case") != "1"
    terms: list[Term] = []
    for line, text in enumerate(only, 1):
        # Else a condition of the request on the same field would be an alternative to them.
        terms += [replace(term, bound=line) for term in parse(text)]
    terms += _parsed("q", one(parameters, "q"), ignore_case=free)
    for text in parameters.get("f", ()):
        terms += _parsed("f", text)
    for text in parameters.get("x", ()):
        terms += _parsed("x", f"-{text}")
    if len(terms) > MAX_CONDITIONS:
        raise BadParameter(f"{len(terms)} conditions, at most {MAX_CONDITIONS} are taken")
    since, until = moment(parameters, "from", now), moment(parameters, "to", now)
    if since is not None and until is not None and since >= until:
        raise BadParameter("from: is not before `to`")
    return Wanted(tuple(terms), since, until)


def _parsed(name: str, text: str, *, ignore_case: bool = False) -> tuple[Term, ...]:
    try:
        return parse(text, ignore_case=ignore_case)
    except WrongSelection as exc:
        # What was typed needs no name.
        raise WrongSelection(str(exc) if name == "q" else f"{name}: {exc}") from exc


def one(parameters: Parameters, name: str, default: str = "") -> str:
    """The last value of a parameter."""
    found = parameters.get(name)
    return found[-1] if found else default


def moment(parameters: Parameters, name: str, now: float) -> float | None:
    """A time: seconds since the epoch, or "-2h"; None if it is not given.

    Raises:
        BadParameter: it is neither.
    """
    text = one(parameters, name)
    if not text:
        return None
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        return now - float(relative[1]) * _UNITS_S[relative[2]]
    found = float(text) if _SECONDS.fullmatch(text) else -1.0
    if not 0 <= found < _LATEST_S:
        raise BadParameter(f'{name}: expected seconds since the epoch or "-2h", got {text[:40]!r}')
    return found


def number(parameters: Parameters, name: str, default: int, low: int, high: int) -> int:
    """A whole number within bounds.

    Raises:
        BadParameter: it is not a number, or outside.
    """
    text = one(parameters, name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16 and low <= int(text) <= high):
        raise BadParameter(f"{name}: expected a number from {low} to {high}, got {text[:40]!r}")
    return int(text)

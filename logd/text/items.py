"""Special items of a text line read back: the inverse of `logd.text.escaping.ItemTexts`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from logd.text.escaping import BARE_CLASS, NUMBER, nested_text

Value = str | int | float | bool | dict[str, Any] | list[Any] | None

QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
"""A key or value in quotes, as a regular expression. It never goes back, whatever it meets."""

_ITEM = re.compile(f"([{BARE_CLASS}]+|{QUOTED})=([{BARE_CLASS}]+|{QUOTED})(?: |\\Z)")
_NESTED = re.compile(f"([{BARE_CLASS}]+|{QUOTED})=(?=[{{\\[])")
_DECODER = json.JSONDecoder()
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(NUMBER)
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


def parse_items(text: str) -> dict[str, Value] | None:
    """The items of `key=value key=value`; None if that is not what it is."""
    items: dict[str, Value] = {}
    place = 0
    while place < len(text):
        match = _ITEM.match(text, place) or _NESTED.match(text, place)
        if match is None:
            return None
        place = match.end()
        try:
            key = bare(match[1])
            if match.re is _ITEM:
                items[key] = _value(match[2])
                continue
            items[key], place = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        if text[place : place + 1] not in ("", " "):
            return None
        place += 1
    # A blank at the end parts the last item from nothing.
    return None if text.endswith(" ") else items


def bare(text: str) -> str:
    """A text as it was before it got quotes, if it has any.

    Raises:
        ValueError: they are no quotes of JSON.
    """
    return str(json.loads(text)) if text.startswith('"') else text


def _value(text: str) -> Value:
    if text.startswith('"'):
        return bare(text)
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def item_text(value: object) -> str:
    """A value as one writes it in `--where key=value`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return nested_text(value) if isinstance(value, Mapping | list | tuple) else str(value)

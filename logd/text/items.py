"""Special items of a text line read back: the inverse of `logd.text.escaping.ItemTexts`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from logd.text.escaping import BARE_CLASS, NUMBER, nested_text

Value = str | int | float | bool | dict[str, Any] | list[Any] | None

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ITEM = re.compile(f"([{BARE_CLASS}]+|{_QUOTED})=([{BARE_CLASS}]+|{_QUOTED})(?: |\\Z)")
_NESTED = re.compile(f"([{BARE_CLASS}]+|{_QUOTED})=(?=[{{\\[])")
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
            key = str(json.loads(match[1])) if match[1].startswith('"') else match[1]
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


def _value(text: str) -> Value:
    if text.startswith('"'):
        return str(json.loads(text))
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

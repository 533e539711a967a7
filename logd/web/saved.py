"""Saved views: TOML files whose words are those of `logd query --view NAME`, too."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from logd.errors import LogdError
from logd.query.grammar import format_terms, parse
from logd.query.terms import WrongSelection
from logd.query.views import Wishes, view_of
from logd.query.when import parse_when

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_VIEWS = 500
MAX_SEARCH_CHARS = 8192


class ViewError(LogdError):
    """A view can't be saved or found; the text says why."""


def listed(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """All views: name, search part of its address, description, whether it can be changed here."""
    found: dict[str, dict[str, Any]] = {}
    for place, folder in enumerate(folders):
        for path in sorted(folder.glob("*.toml"))[:MAX_VIEWS]:
            if path.stem not in found and NAME.fullmatch(path.stem):
                try:
                    items = tomllib.loads(path.read_text(encoding="utf-8"))
                    search = _search(view_of(items))
                except (OSError, ValueError):
                    continue  # `logd query --view` says what is wrong with it
                found[path.stem] = {
                    "name": path.stem,
                    "search": search,
                    "description": _description(items),
                    "writable": place == 0,
                }
    return [found[name] for name in sorted(found)]


def save(folder: Path, name: str, search: str) -> None:
    """Write a view.

    Raises:
        ViewError: the name or the selection can't be used, or the disk refused.
    """
    if not NAME.fullmatch(name):
        raise ViewError(f"{name[:80]!r}: a name has letters, digits and . _ -")
    if len(search) > MAX_SEARCH_CHARS:
        raise ViewError(f"a view of {len(search)} characters, at most {MAX_SEARCH_CHARS}")
    parameters = parse_qs(search.removeprefix("?"))
    words = [*parameters.get("q", []), *parameters.get("f", [])]
    words += [f"-{text}" for text in parameters.get("x", [])]
    line = " ".join(words)
    try:
        parse(line)
    except WrongSelection as exc:
        raise ViewError(str(exc)) from exc
    text = f"q = {_toml(line)}\n" if line else ""
    if parameters.get("q"):
        text += "ignore_case = true\n"  # as the page looks for texts
    for key, name_there in (("from", "since"), ("to", "until")):
        value = parameters.get(key, [""])[-1]
        if value:
            text += f"{name_there} = {_toml(_time_word(value))}\n"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        path = folder / f"{name}.toml"
        fresh = path.with_suffix(".new")
        fresh.write_text(text or "# all records\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as exc:
        raise ViewError(f"can't write {exc.filename}: {exc.strerror}") from exc


def delete(folder: Path, name: str) -> None:
    """Remove a view.

    Raises:
        ViewError: there is no view of this name here.
    """
    if not NAME.fullmatch(name):
        raise ViewError(f"{name[:80]!r} is no name of a view")
    try:
        (folder / f"{name}.toml").unlink()
    except OSError as exc:
        raise ViewError(f"can't remove the view {name}: {exc.strerror}") from exc


def command(parameters: dict[str, list[str]]) -> str:
    """The command that shows the same in a terminal."""
    words = [*parameters.get("q", []), *parameters.get("f", [])]
    words += [f"-{text}" for text in parameters.get("x", [])]
    options = ["logd query"]
    for key, option in (("from", "--since"), ("to", "--until")):
        value = parameters.get(key, [""])[-1]
        if value:
            options.append(f"{option} {_quoted(_time_word(value))}")
    if parameters.get("q", [""])[-1]:
        options.append("-i")  # as the page looks for texts
    if words:
        line = " ".join(words)
        options += ["--", _quoted(line)] if line.startswith("-") else [_quoted(line)]
    return " ".join(options)


def _time_word(value: str) -> str:
    return value if value.startswith("-") else f"@{value}"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w@:.,+=-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def _search(wishes: Wishes) -> str:
    """What the page's address has for a view.

    Raises:
        WrongSelection: something in it can't be understood.
        ValueError: a time can't be.
    """
    wishes.terms()  # the line, too, has to be understood
    rest = Wishes(fields={}, where=wishes.where, grep=wishes.grep, ignore_case=wishes.ignore_case)
    lines = [*wishes.q, format_terms(rest.terms())]
    pairs = [("q", " ".join(line for line in lines if line))]
    fields = Wishes(fields=wishes.fields, ignore_case=wishes.ignore_case)
    pairs += [("f", format_terms([term])) for term in fields.terms()]
    excluded = Wishes(fields={}, excluded=wishes.excluded, ignore_case=wishes.ignore_case)
    for term in excluded.terms():
        # Excluding what is not so is wanting what is.
        pairs.append(("x" if term.is_not else "f", format_terms([replace(term, is_not=False)])))
    for name, text in (("from", wishes.since), ("to", wishes.until)):
        if text is not None:
            pairs.append((name, _page_time(text)))
    return f"?{urlencode([pair for pair in pairs if pair[1]])}"


def _page_time(text: str) -> str:
    """A time as the page's address has it: what is relative to now stays so."""
    now = time.time()
    moment = parse_when(text, now)
    later = parse_when(text, now + 1000.0)
    return f"-{now - moment:.0f}s" if abs(later - moment - 1000.0) < 1 else f"{moment:.3f}"


def _description(items: dict[str, Any]) -> str:
    return " · ".join(f"{key}: {value}" for key, value in items.items() if value)[:200]


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""Named selections: TOML files with the words of the options of `logd query`.

    q = 'cat:E -logger:shop.cache "card declined"'
    host = ["10.0.0.7", "10.0.0.8"]
    where = ["ms>500"]
    since = "2 hours ago"

The names, and what is a list there, are those of the options, without the dashes; `q` is a line of
the grammar (`logd.query.grammar`). Pure but for the files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from logd.query.fields import NO_LABEL, TEXT
from logd.query.grammar import is_word, parse, parse_condition
from logd.query.terms import Term, WrongSelection

FIELD_OPTIONS = ("cat", "site", "host", "logger", "thread", "func", "exc", "pid")
"""Options that are called as the field they are about, with a value or several."""

_NAME = re.compile(r"[\w][\w.-]*")
_LISTS = frozenset({*FIELD_OPTIONS, "not", "where", "grep"})
_TEXTS = frozenset({"q", "since", "until"})
_FLAGS = frozenset({"ignore_case"})


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What someone wants to see, as written: in options, in a view, or on a page.

    Attributes:
        q: lines of the grammar.
        fields: field -> values of the option named like it.
        excluded: `--not`, FIELD=VALUE or FIELD:VALUE.
        where: `--where`, KEY=VALUE and other comparisons.
        grep: regular expressions, all of them to be found in the message.
        since: the earliest time, as written; None for any.
        until: the time before which entries were logged, as written.
        ignore_case: whether "a" and "A" are the same.
    """

    q: Sequence[str] = ()
    fields: Mapping[str, Sequence[str]]
    excluded: Sequence[str] = ()
    where: Sequence[str] = ()
    grep: Sequence[str] = ()
    since: str | None = None
    until: str | None = None
    ignore_case: bool = False

    def terms(self) -> tuple[Term, ...]:
        """The conditions, without those of time.

        Raises:
            WrongSelection: something can't be understood, or can never match.
        """
        free = self.ignore_case
        found: list[Term] = [term for text in self.q for term in parse(text, ignore_case=free)]
        for field, values in self.fields.items():
            words = _words(values) if field == "cat" else values
            found += [Term(field, "=", word or NO_LABEL, False, free) for word in words]
        for text in self.where:
            found += parse_condition(text, ignore_case=free)
        found += [Term(TEXT, "~", text, False, free) for text in self.grep]
        for text in self.excluded:
            found += _excluded(text, free)
        return tuple(found)


def _words(values: Iterable[str]) -> list[str]:
    return [word.strip() for text in values for word in text.split(",")]


def _excluded(text: str, ignore_case: bool) -> list[Term]:
    if not is_word(text):
        with suppress(WrongSelection):
            return list(parse_condition(text, is_not=True, ignore_case=ignore_case))
    return [replace(term, is_not=not term.is_not) for term in parse(text, ignore_case=ignore_case)]


def find_view(name: str, folders: Sequence[Path]) -> Path:
    """The file of a view: `NAME.toml` in the first of the folders that has it, or a path.

    Raises:
        WrongSelection: there is none; says which there are.
    """
    if name.endswith(".toml"):
        return Path(name)
    if _NAME.fullmatch(name):
        for folder in folders:
            path = folder / f"{name}.toml"
            if path.is_file():
                return path
    there = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    known = f"there are {', '.join(there)}" if there else f"there is none in {_texts(folders)}"
    raise WrongSelection(f"no view {name!r}: {known}")


def _texts(folders: Sequence[Path]) -> str:
    return " or ".join(map(str, folders))


def read_view(path: Path) -> Wishes:
    """The view in a file.

    Raises:
        WrongSelection: the file can't be read, or says something else; names the line or key.
    """
    try:
        return view_of(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise WrongSelection(f"view {path}: {getattr(exc, 'strerror', None) or exc}") from exc
    except WrongSelection as exc:
        raise WrongSelection(f"view {path}: {exc}") from exc


def view_of(items: Mapping[str, Any]) -> Wishes:
    """The view of a TOML document.

    Raises:
        WrongSelection: a key or the type of its value is unknown.
    """
    names = {name.replace("-", "_"): value for name, value in items.items()}
    lists: dict[str, list[str]] = {}
    for name, value in names.items():
        if name in _FLAGS:
            if not isinstance(value, bool):
                raise WrongSelection(f"{name}: expected true or false, got {value!r}")
        elif name in _LISTS:
            several = value if isinstance(value, list) else [value]
            if not all(isinstance(one, str | int) for one in several):
                raise WrongSelection(f"{name}: expected a text or a list of texts, got {value!r}")
            lists[name] = list(map(str, several))
        elif name not in _TEXTS:
            known = ", ".join(sorted(_LISTS | _TEXTS | _FLAGS))
            raise WrongSelection(f"unknown key {name!r}: expected {known}")
        elif not isinstance(value, str):
            raise WrongSelection(f"{name}: expected a text, got {value!r}")
    return Wishes(
        q=[names["q"]] if "q" in names else [],
        fields={field: lists[field] for field in FIELD_OPTIONS if field in lists},
        excluded=lists.get("not", []),
        where=lists.get("where", []),
        grep=lists.get("grep", []),
        since=names.get("since"),
        until=names.get("until"),
        ignore_case=names.get("ignore_case", False),
    )

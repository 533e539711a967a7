"""Finds filters and observers by the names that stand in the settings.

A name is `module:object`, or with arguments `module:object?key=value&key2=value2`. What it names
becomes a filter or observer: a class is called with the arguments; a function with arguments is a
factory and is called with them, too; anything else is used as it is. Values are turned
into what the parameter's annotation says; percent codes (`%26` for `&`, `%25` for `%`) are decoded
and `+` stands for itself, so that regular expressions stay readable.

Used by the daemon at its start and when it reads its settings anew; users of the API just make
objects.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import math
import time
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union
from urllib.parse import unquote

from logd.errors import StartupError
from logd.settings.secrets import reveal

__all__ = ["Callables", "close_callables", "end_callables", "load", "load_callables"]

logger = logging.getLogger(__name__)

Callables = dict[str, Callable[..., Any]]
"""Filters or observers by the text of the settings that named them, in their order."""

_T = TypeVar("_T", int, float)

_BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_COLLECTIONS: Mapping[object, Callable[[Iterable[Any]], Any]] = {
    tuple: tuple,
    list: list,
    set: set,
    frozenset: frozenset,
    Sequence: tuple,
    Collection: tuple,
    Iterable: tuple,
}


def load(specs: Sequence[str], kind: str, kept: Mapping[str, Callable[..., Any]] = {}) -> Callables:
    """The filters or observers that the settings name; those in `kept` are used again.

    Raises:
        StartupError: one of them can't be used.
    """
    specs = list(map(reveal, specs))
    fresh = [spec for spec in specs if spec not in kept]
    loaded = dict(zip(fresh, load_callables(fresh, kind=kind), strict=True))
    return {spec: kept[spec] if spec in kept else loaded[spec] for spec in specs}


def load_callables(specs: Sequence[str], *, kind: str = "plugin") -> list[Callable[..., Any]]:
    """The objects that `specs` name, in the same order.

    Args:
        specs: names as described in the module's text.
        kind: what to call them in messages: "filter" or "observer".

    Raises:
        StartupError: one of them is malformed, not there, not callable, named twice or refuses its
            arguments. The text names the object and the argument but shows no text given for it,
            which may be a secret.
    """
    loaded: list[Callable[..., Any]] = []
    for spec in specs:
        found = _load(spec, kind)
        if any(found is other for other in loaded):
            raise StartupError(f'{kind} "{_shown(spec)}" is named twice; name it once')
        loaded.append(found)
    return loaded


def close_callables(callables: Iterable[object], timeout_s: float) -> bool:
    """Close those that have a `close(timeout_s)` method, one after the other.

    Args:
        callables: filters and observers, at the end of their work.
        timeout_s: for all of them together; each gets what the ones before it left, and those
            for which nothing is left are closed without waiting.

    Returns:
        Whether all of them finished their work in time.
    """
    deadline = time.monotonic() + timeout_s
    finished = True
    for item in callables:
        close = getattr(item, "close", None)
        if close is not None:
            finished &= close(max(0.0, deadline - time.monotonic())) is not False
    return finished


def end_callables(callables: Sequence[object], timeout_s: float) -> None:
    """Close filters and observers, within `timeout_s` seconds."""
    if not close_callables(callables, timeout_s):
        logger.warning("a filter or observer did not finish within %.0f s", timeout_s)


def _shown(spec: str) -> str:
    """The spec without its arguments."""
    return spec.partition("?")[0]


def _load(spec: str, kind: str) -> Callable[..., Any]:
    name = f'{kind} "{_shown(spec)}"'
    path, _, query = spec.partition("?")
    module_name, colon, object_name = path.partition(":")
    if not (colon and module_name and object_name):
        raise StartupError(
            f"{name}: expected module:object or module:object?key=value, "
            f"e.g. logd.filters:Categories?disable=D"
        )
    found = _find(name, module_name, object_name)
    arguments = _split_query(name, query)
    if inspect.isclass(found) or (arguments and callable(found) and inspect.isroutine(found)):
        found = _make(name, found, arguments)
    elif arguments:
        raise StartupError(
            f"{name} takes no arguments: it is {_an(type(found).__name__)}, "
            f"not a class or function; remove what follows the question mark"
        )
    if not callable(found) and not callable(getattr(found, "observe", None)):
        raise StartupError(
            f"{name} is {_an(type(found).__name__)}, expected something to call "
            f"with (jobhist, writer): a function or an object with __call__"
        )
    return typing.cast("Callable[..., Any]", found)


def _find(name: str, module_name: str, object_name: str) -> object:
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (module_name + ".").startswith(exc.name + "."):
            raise StartupError(
                f'{name}: there is no module "{exc.name}"; install it where logd is installed, '
                f"or put its folder on PYTHONPATH"
            ) from exc
        raise StartupError(f'{name}: module "{module_name}" can\'t be imported: {exc}') from exc
    except Exception as exc:
        # Whatever a module of the user's own raises while it is imported ends the start.
        raise StartupError(
            f'{name}: module "{module_name}" can\'t be imported: {type(exc).__name__}: {exc}'
        ) from exc
    for attribute in object_name.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as exc:
            public = ", ".join(_candidates(found)) or "nothing"
            raise StartupError(
                f'{name}: there is no "{attribute}" in {module_name}; it offers {public}'
            ) from exc
    return found


def _candidates(owner: object) -> list[str]:
    """Names that a person may have meant: what `owner` declares public, at most ten."""
    declared = getattr(owner, "__all__", None)
    if declared is None:
        module = getattr(owner, "__name__", None)
        declared = [
            key
            for key, value in vars(owner).items()
            if not key.startswith("_")
            and callable(value)
            and getattr(value, "__module__", module) == module
        ]
    return sorted(declared)[:10]


def _split_query(name: str, query: str) -> dict[str, list[str]]:
    arguments: dict[str, list[str]] = {}
    for item in query.split("&") if query else ():
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise StartupError(
                f"{name}: after the question mark expected key=value&key2=value2; "
                f"write %26 for an & in a value"
            )
        arguments.setdefault(unquote(key).replace("-", "_"), []).append(unquote(value))
    return arguments


def _make(name: str, factory: Callable[..., Any], arguments: dict[str, list[str]]) -> object:
    """Call the class or function with the arguments, turned into what it wants."""
    try:
        parameters = inspect.signature(factory).parameters
    except ValueError as exc:
        raise StartupError(f"{name}: its parameters can't be found out: {exc}") from exc
    takes_any = any(item.kind is item.VAR_KEYWORD for item in parameters.values())
    named = {
        key: item
        for key, item in parameters.items()
        if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)
    }
    missing = [
        key for key, item in named.items() if item.default is item.empty and key not in arguments
    ]
    if missing:
        example = "&".join(f"{key}=..." for key in missing)
        raise StartupError(
            f"{name} needs {', '.join(missing)}; write {name.split()[-1][1:-1]}?{example}"
        )
    values: dict[str, object] = {}
    for key, texts in arguments.items():
        if key not in named and not takes_any:
            known = ", ".join(named) or "none"
            raise StartupError(f'{name} has no parameter "{key}"; it has: {known}')
        annotation = named[key].annotation if key in named else str
        wanted = _resolve(factory, key, annotation)
        try:
            values[key] = _parse_all(texts, wanted)
        except ValueError as exc:
            raise StartupError(f"{name}: {key}: {exc}") from exc
    try:
        return factory(**values)
    except Exception as exc:
        # Constructors say in their own words what they refuse; it must become one line at start.
        raise StartupError(f"{name}: {str(exc) or type(exc).__name__}") from exc


def _resolve(factory: Callable[..., Any], key: str, annotation: object) -> object:
    """The annotation as a type.

    One at a time: other parameters may be annotated with names that exist for type checkers only.
    """
    if not isinstance(annotation, str):
        return annotation
    function = factory.__init__ if inspect.isclass(factory) else factory
    names = getattr(inspect.unwrap(function), "__globals__", {})
    holder = types.SimpleNamespace(__annotations__={key: annotation})
    try:
        return typing.get_type_hints(holder, globalns=names)[key]
    except (NameError, TypeError):
        return object


def _parse_all(texts: list[str], wanted: object) -> object:
    """One argument, which for collections may be given several times."""
    if len(texts) == 1:
        return _parse(texts[0], wanted)
    if any(typing.get_origin(item) in _COLLECTIONS for item in _members(wanted)):
        return _parse(",".join(texts), wanted)
    raise ValueError("given more than once")


def _members(wanted: object) -> tuple[object, ...]:
    """The alternatives of a union but None; a type that is no union alone."""
    if typing.get_origin(wanted) in (Union, types.UnionType):
        return tuple(item for item in typing.get_args(wanted) if item is not type(None))
    return (wanted,)


def _parse(text: str, wanted: object) -> object:
    """Turn `text` into `wanted`, a type.

    Raises:
        ValueError: with expected and got.
    """
    # Anything can be read as a str, so what is narrower comes before it; a list does not: what
    # takes both a str and a list of them divides the str itself.
    narrower = [item for item in _members(wanted) if typing.get_origin(item) not in _COLLECTIONS]
    *others, last = sorted(narrower, key=lambda member: member is str) or _members(wanted)
    for member in others:
        with contextlib.suppress(ValueError):
            return _parse_one(text, member)
    return _parse_one(text, last)


def _parse_one(text: str, wanted: object) -> object:
    origin = typing.get_origin(wanted)
    if wanted in (str, inspect.Parameter.empty, Any):
        return text
    if wanted is bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError(f'expected true or false, got "{text}"')
        return _BOOLEANS[text.lower()]
    if wanted is int:
        return _number(text, int, "a whole number")
    if wanted is float:
        number = _number(text, float, "a number")
        if not math.isfinite(number):
            raise ValueError(f'expected a finite number, got "{text}"')
        return number
    if wanted is Path:
        return Path(text)
    if origin is Literal:
        for choice in typing.get_args(wanted):
            if str(choice) == text:
                return choice
        choices = ", ".join(map(str, typing.get_args(wanted)))
        raise ValueError(f'expected one of {choices}, got "{text}"')
    if origin in _COLLECTIONS:
        member = typing.get_args(wanted)[0]
        return _COLLECTIONS[origin](_parse(item, member) for item in text.split(",") if item)
    raise ValueError("can't be given in settings, only in a program")


def _number(text: str, kind: Callable[[str], _T], what: str) -> _T:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f'expected {what}, got "{text}"') from None


def _an(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"

"""Checks the contexts of a session's batches, and knows the call paths that were there before.

A program logs from the same places all the time, in all of its processes, so that nearly all call
paths of a batch came in an earlier one, of whatever session. To check a context field by field and
level by level takes 4 us; to check the fields by columns and to find the path again takes 1 us. In
batches of few records nearly each has a context of its own: there this is a third of its cost.

Finding means hashing, and what a pickle holds may be hostile: things shared at each level take
forever to hash, and `True` is equal to 1. So the types are looked at before, by columns, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, cast

from logd.records.callpath import Path
from logd.records.context import Context
from logd.wire import fields
from logd.wire.errors import WireError
from logd.wire.expansion import PathChars
from logd.wire.limits import (
    MAX_CAT_CHARS,
    MAX_FILE_CHARS,
    MAX_INTEGER,
    MAX_NAME_CHARS,
    MAX_PATH_CHARS,
    MIN_INTEGER,
    written_chars,
)
from logd_client.session import MAX_CONTEXTS

_Checked = tuple[Context, int]
"""A context and how many characters it takes when it is written."""

MAX_KNOWN: Final = 8192
"""Different call paths; when there are more, all are learned anew. At most 20 MB."""

MAX_KNOWN_CHARS: Final = 1024
"""Longer paths are not kept."""

MAX_LOOKED_UP: Final = 1024
"""In batches with more contexts than that these are hardly the same as before."""

_MAX_LEVELS: Final = 64

_FIELD_TYPES: Final = (int, int, str, str, tuple, int, str)
# Of thread name, category, path, calling function.
_MAX_LENGTHS: Final = (MAX_NAME_CHARS, MAX_CAT_CHARS, _MAX_LEVELS, MAX_NAME_CHARS)
_PLAIN_LEVEL: Final = (str, int)
_LEVEL_TYPES: Final = frozenset({str, int, type(None)})

# What the constructor of a named tuple does, without its call of a Python function.
_new_context = partial(tuple.__new__, Context)


class KnownContexts:
    """Checks the contexts of all sessions; used by one thread.

    Attributes:
        path_chars: how many characters a path takes when it is written.

    Args:
        has_full_names: whether file names are written with their folders.
    """

    __slots__ = ("_lones", "_paths", "path_chars")

    def __init__(self, *, has_full_names: bool = False) -> None:
        self.path_chars = fields.full_path_chars if has_full_names else fields.path_chars
        self._paths: dict[Path, tuple[Path, int]] = {}
        self._lones: dict[tuple[Any, ...], _Checked] = {}

    def checked(self, value: object) -> tuple[list[Context], list[int]]:
        """The contexts that a batch has, and how many characters each takes when it is written.

        Raises:
            WireError: not a tuple of contexts.
        """
        if type(value) is not tuple or not 1 <= len(value) <= MAX_CONTEXTS:
            raise WireError(f"batch: a tuple of 1 to {MAX_CONTEXTS} contexts expected")
        if len(value) == 1:
            known = self._lone(value[0])
            if known is not None:
                return [known[0]], [known[1]]
        columns = _plain_columns(value)
        if columns is not None:
            return self._checked_columns(*columns)
        both = _checked_singly(value, self.path_chars)
        return [context for context, _ in both], [chars for _, chars in both]

    def _lone(self, value: object) -> _Checked | None:
        """The context of a lone record, if it was checked before or is plain enough to be kept.

        Equal is not enough, as 1 is equal to True: the types of all parts are looked at, which is
        also what makes it quick to hash.
        """
        if type(value) is not tuple or tuple(map(type, value)) != _FIELD_TYPES:
            return None
        path = value[4]
        if len(path) > _MAX_LEVELS:
            return None
        for level in path:
            if type(level) is not tuple or tuple(map(type, level)) != _PLAIN_LEVEL:
                return None
        checked = self._lones.get(value)
        if checked is None:
            columns = _plain_columns((value,))
            if columns is None:
                return None
            (context,), (chars,) = self._checked_columns(*columns)
            checked = context, chars
            if chars <= MAX_KNOWN_CHARS:
                if len(self._lones) >= MAX_KNOWN:
                    self._lones.clear()
                self._lones[value] = checked
        return checked

    def chars(self, context: Context) -> int:
        """How many characters a context takes when it is written."""
        names = context.threadname + context.cat + context.cfunc
        return self.path_chars(context.path) + written_chars(names)

    def _checked_columns(
        self,
        pids: Sequence[int],
        tids: Sequence[int],
        threadnames: Sequence[str],
        cats: Sequence[str],
        paths: Sequence[Path],
        tblens: Sequence[int],
        cfuncs: Sequence[str],
    ) -> tuple[list[Context], list[int]]:
        if len(paths) <= MAX_LOOKED_UP:
            known = self._paths
            both = [known.get(path) or self._learned(path) for path in paths]
        else:
            checked = _checked_paths(paths, self.path_chars)
            both = [checked[id(path)] for path in paths]
        same_paths = [path for path, _ in both]
        rows = zip(pids, tids, threadnames, cats, same_paths, tblens, cfuncs, strict=True)
        names = zip(threadnames, cats, cfuncs, strict=True)
        return (
            list(map(_new_context, rows)),
            [
                chars + written_chars("".join(three))
                for (_, chars), three in zip(both, names, strict=True)
            ],
        )

    def _learned(self, path: Path) -> tuple[Path, int]:
        checked = fields.call_path(path)
        chars = self.path_chars(checked)
        if chars <= MAX_KNOWN_CHARS:
            if len(self._paths) >= MAX_KNOWN:
                self._paths.clear()
            self._paths[path] = checked, chars
        return checked, chars


def _plain_columns(value: tuple[object, ...]) -> tuple[Sequence[Any], ...] | None:
    """The fields of contexts that are as they should be, with paths that are quick to hash.

    None if any is of another type, longer than it may be, or has a path of something else than
    a few pairs: then they have to be looked at singly. What levels of a path hold is not checked.
    """
    if {*map(type, value)} != {tuple}:
        return None
    contexts = cast("tuple[tuple[Any, ...], ...]", value)
    if {*map(len, contexts)} != {len(_FIELD_TYPES)}:
        return None
    columns = tuple(zip(*contexts, strict=True))
    for column, kind in zip(columns, _FIELD_TYPES, strict=True):
        if {*map(type, column)} != {kind}:
            return None
        if kind is int and not (min(column) >= MIN_INTEGER and max(column) <= MAX_INTEGER):
            return None
    for column, most in zip(columns[2:5] + columns[6:], _MAX_LENGTHS, strict=True):
        if max(map(len, column)) > most:
            return None
    # A pickle may share one path thousands of times.
    paths = {id(path): path for path in columns[4]}.values()
    levels = list(chain.from_iterable(paths))
    is_quick = (
        {*map(type, levels)} <= {tuple}
        and {*map(len, levels)} <= {2}
        and {*map(type, chain.from_iterable(levels))} <= _LEVEL_TYPES
    )
    return columns if is_quick else None


def _checked_paths(paths: Sequence[Path], path_chars: PathChars) -> dict[int, tuple[Path, int]]:
    """By identity: each path checked, and how many characters it takes when it is written.

    Of paths that `_plain_columns` let pass; those that are as they should be stay as they are.
    """
    different = {id(path): path for path in paths}
    levels = list(chain.from_iterable(different.values()))
    names = [name for name, _ in levels if name is not None]
    lines = [line for _, line in levels if line is not None]
    if (
        {*map(type, names)} <= {str}
        and {*map(type, lines)} <= {int}
        and max(map(len, names), default=0) <= MAX_FILE_CHARS
        and min(lines, default=0) >= MIN_INTEGER
        and max(lines, default=0) <= MAX_INTEGER
    ):
        full = max(map(fields.full_path_chars, different.values()))
        if full <= MAX_PATH_CHARS:
            return {key: (path, path_chars(path)) for key, path in different.items()}
    checked = {key: fields.call_path(path) for key, path in different.items()}
    return {key: (path, path_chars(path)) for key, path in checked.items()}


def _checked_singly(value: tuple[object, ...], path_chars: PathChars) -> list[_Checked]:
    """Each context checked, and each object once: a pickle may share one thousands of times."""
    paths: dict[int, tuple[Path, int]] = {}
    checked: dict[int, _Checked] = {}
    for item in value:
        if id(item) not in checked:
            checked[id(item)] = _context(item, paths, path_chars)
    return [checked[id(item)] for item in value]


def _context(item: object, paths: dict[int, tuple[Path, int]], path_chars: PathChars) -> _Checked:
    if type(item) is not tuple or len(item) != len(Context._fields):
        raise WireError(f"context: {len(Context._fields)} items expected")
    pid, tid, threadname, cat, path, tblen, cfunc = cast("Sequence[object]", item)
    known = paths.get(id(path))
    if known is None:
        checked = fields.call_path(path)
        known = paths[id(path)] = checked, path_chars(checked)
    context = fields.context(pid, tid, threadname, cat, known[0], tblen, cfunc)
    names = written_chars(context.threadname + context.cat + context.cfunc)
    return context, known[1] + names

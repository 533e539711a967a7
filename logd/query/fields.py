"""The fields of entries that can be asked for and counted by, and what they are in an entry. Pure.

Whatever is none of these names is the key of a special item. `item.KEY` always is, so that an item
named like a field can be had too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from logd.query.tracebacks import exception_types, fingerprint, has_traceback
from logd.records.entry import Entry
from logd.text.items import item_text

NO_LABEL = "-"
"""How people write that there is nothing: no category, this machine among hosts."""

TEXT = "text"
"""The field of what is looked for in the message."""

_ITEM = "item."
_ARROW = "<-"


def _steps(entry: Entry) -> Sequence[str]:
    steps = entry.path.split(_ARROW) if entry.path else []
    return [text for step in steps for text in _site_names(step)]


def _site_names(step: str) -> Sequence[str]:
    """A place in a program, with its line and without."""
    name, bracket, _ = step.rpartition("(")
    return (step, name) if bracket else (step,)


def _pid(entry: Entry) -> Sequence[str]:
    return (str(entry.pid), f"{entry.pid}@{entry.peer or NO_LABEL}")


def _traceback(entry: Entry) -> Sequence[str]:
    return (fingerprint(entry.msg, entry.site),)


_VALUES: dict[str, Callable[[Entry], Sequence[str]]] = {
    "cat": lambda entry: (entry.cat or NO_LABEL,),
    "site": lambda entry: _site_names(entry.site) if entry.site else (NO_LABEL,),
    "path": _steps,
    "func": lambda entry: (entry.cfunc or NO_LABEL,),
    "thread": lambda entry: (entry.threadname or NO_LABEL,),
    "tid": lambda entry: (str(entry.tid),),
    "pid": _pid,
    "host": lambda entry: (entry.peer or NO_LABEL,),
    "msgid": lambda entry: (str(entry.msgid),),
    "exc": lambda entry: exception_types(entry.msg),
    "traceback": _traceback,
    "ts": lambda entry: (entry.ts,),
    TEXT: lambda entry: (entry.msg,),
}

FIELDS = tuple(_VALUES)
"""The names of all fields that are no items."""

_LABELS: dict[str, Callable[[Entry], str]] = {
    "pid": lambda entry: _pid(entry)[1],
    "site": lambda entry: entry.site or NO_LABEL,
    "path": lambda entry: entry.path or NO_LABEL,
    "exc": lambda entry: (exception_types(entry.msg) or [NO_LABEL])[-1],
}


def item_key(field: str) -> str | None:
    """The key of the special item that a field's name stands for; None for the other fields."""
    if field.startswith(_ITEM):
        return field[len(_ITEM) :]
    return None if field in _VALUES else field


def field_of_item(key: str) -> str:
    """The name of the field that is the special item `key`."""
    return f"{_ITEM}{key}" if key in _VALUES or key.startswith(_ITEM) else key


def values(entry: Entry, field: str) -> Sequence[str]:
    """The texts that the field has in an entry: each of them is a way to ask for it."""
    of_entry = _VALUES.get(field)
    if of_entry is not None:
        return of_entry(entry)
    key = item_key(field)
    if key is None or key not in entry.special:
        return ()
    return (item_text(entry.special[key]),)


def has(entry: Entry, field: str) -> bool:
    """Whether an entry has something there."""
    if field == "traceback":
        return has_traceback(entry.msg)
    return any(value not in ("", NO_LABEL) for value in values(entry, field))


def label(entry: Entry, field: str) -> str:
    """What an entry counts for by a field: a value that can be asked for, "-" for none."""
    of_entry = _LABELS.get(field)
    if of_entry is not None:
        return of_entry(entry)
    found = values(entry, field)
    return found[0] if found else NO_LABEL

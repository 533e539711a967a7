"""The one shape of a record as JSON: the live feed, `--json`, webhooks, commands, dead letters.

An object with these names, none of them missing:

| name | value |
| --- | --- |
| time | seconds since the epoch, with microseconds; null if the log tells none |
| ts | the timestamp as text, "" if the log has none |
| cat | the category, "" for none |
| pid | process id of the sender |
| peer | address the record came from, "" for this machine |
| msgid | the sender's number for it |
| msg | the message |
| threadname, tid | name and id of the sending thread, "" and 0 if not known |
| cfunc | name of the calling function |
| path | the call path as text, "views.py(42)<-urls.py(10)" |
| special | an object: the items that the application added |

Where records are kept to be sent again (dead letters, `logd queue export`, the client's fallback)
two more names have what the text of the path leaves out:

| name | value |
| --- | --- |
| levels | the call path: [file name, line], ..., the log call first; nulls for a hidden file |
| tblen | depth of the whole stack, 0 if not known |

`Entry.from_feed` reads a record back to show it, `row_of` to send it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logd.records.job import MsgJob

NAMES = (
    "time",
    "ts",
    "cat",
    "pid",
    "peer",
    "msgid",
    "msg",
    "threadname",
    "tid",
    "cfunc",
    "path",
    "special",
)
"""The names, in the order in which they are shown."""


def of_job(job: MsgJob) -> dict[str, Any]:
    """A record on its way."""
    shape = {name: getattr(job, name) for name in NAMES}
    shape["path"] = job.pathStr()
    shape["special"] = dict(job.special)
    return shape


def whole_of_job(job: MsgJob) -> dict[str, Any]:
    """A record with all that it takes to send it again."""
    return of_job(job) | {"levels": job.path, "tblen": job.tblen}


def row_of(shape: Mapping[str, Any]) -> tuple[Any, ...]:
    """The 11 items that clients send, of what `whole_of_job` gave, perhaps by way of JSON.

    Raises:
        KeyError, TypeError, ValueError: it is no such object.
    """
    names = ("msgid", "pid", "tid", "threadname", "time", "msg", "cat")
    levels = tuple((name, line) for name, line in shape["levels"])
    items = [shape[name] for name in names]
    return (*items, levels, shape["tblen"], shape["cfunc"], dict(shape["special"]))

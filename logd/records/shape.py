"""The one shape of a record as JSON: the live feed, `--json`, webhooks and commands share it.

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

`Entry.from_feed` reads it back. Pure.
"""

from __future__ import annotations

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

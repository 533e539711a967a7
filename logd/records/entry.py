"""One record as it is read back, wherever it was kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from logd.records.callpath import Path, path_text
from logd.records.job import MsgJob
from logd.records.shape import NAMES

_STEP = re.compile(r"(?P<name>.*)\((?P<line>-?[0-9]{1,18}|None)\)", re.DOTALL)
_ARROW = "<-"
_WHITE_SPACE = re.compile(r"\s")


@dataclass(slots=True)
class Entry:
    r"""One record.

    Attributes:
        time: seconds since the epoch; None without a timestamp, or if that has no date.
        ts: the timestamp as text, empty if the log has none.
        cat: category, may be empty.
        pid: process id of the sender.
        peer: address the record came from, "" for this machine.
        msgid: the sender's number for it.
        msg: the message; lines are parted by "\n".
        threadname: name of the sending thread.
        tid: its id; 0 if unknown: lines of text don't have it.
        cfunc: name of the calling function.
        path: the call path as text, "views.py(42)<-urls.py(10)".
        special: the items that the application added.
        raw: the entry as it stood in a text file, without the line end; "" from elsewhere.
    """

    time: float | None
    ts: str
    cat: str
    pid: int
    peer: str
    msgid: int
    msg: str
    threadname: str = ""
    tid: int = 0
    cfunc: str = ""
    path: str = ""
    special: Mapping[str, Any] = field(default_factory=dict)
    raw: str = field(default="", compare=False, repr=False)

    @property
    def site(self) -> str:
        """Where it was logged: the first item of the path."""
        return self.path.partition(_ARROW)[0]

    @property
    def is_mere_text(self) -> bool:
        """Whether nothing but its text is known: a line of another program or format."""
        return not (self.ts or self.cat or self.pid or self.msgid or self.threadname)

    @classmethod
    def from_feed(cls, items: Mapping[str, Any]) -> Entry:
        """The entry of a record as JSON (`logd.records.shape`); what is missing is empty.

        It is the same entry that files and tables give of the record.
        """
        time, special = items.get("time"), items.get("special")
        return cls(
            time=exact_time(time) if isinstance(time, int | float) else None,
            ts=str(items.get("ts") or ""),
            cat=category(str(items.get("cat") or "")),
            pid=_integer(items.get("pid")),
            peer=str(items.get("peer") or ""),
            msgid=_integer(items.get("msgid")),
            msg=str(items.get("msg") or "").replace("\r\n", "\n"),
            threadname=str(items.get("threadname") or ""),
            tid=_integer(items.get("tid")),
            cfunc=str(items.get("cfunc") or ""),
            path=str(items.get("path") or ""),
            special=special if isinstance(special, Mapping) else {},
        )

    def as_dict(self) -> dict[str, Any]:
        """The entry as records are everywhere as JSON, see `logd.records.shape`."""
        shape = {name: getattr(self, name) for name in NAMES}
        shape["special"] = dict(self.special)
        return shape

    def as_json(self) -> str:
        """The same as one JSON object on one line."""
        return json.dumps(self.as_dict(), ensure_ascii=False, default=str)

    def as_job(self) -> MsgJob:
        """The entry as filters, observers and formats see records."""
        return MsgJob(
            self.msgid,
            self.pid,
            self.tid,
            self.threadname,
            self.ts,
            self.msg,
            self.cat,
            _steps(self.path),
            0,
            self.cfunc,
            self.special,
            _NAMES,
            time=self.time or 0.0,
            peer=self.peer,
        )


class _NamesAsTheyAre:
    """Shows the file names of a path that is text already."""

    def format_fname(self, name: str | None) -> str | None:
        return name

    def pathAsStr(self, path: Path, imin: int = 0) -> str:
        return path_text(path, self.format_fname, imin)


_NAMES = _NamesAsTheyAre()


def exact_time(time: float) -> float:
    """A time as all places where records are kept give it: to the microsecond."""
    return int(time * 1e6) / 1e6


def category(text: str) -> str:
    """A category as it is read everywhere: one word, "" for none."""
    if text.isalnum():  # nearly always
        return text
    word = _WHITE_SPACE.sub("_", text)
    return "" if word == "-" else word


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _steps(path: str) -> tuple[tuple[str | None, int | None], ...]:
    """The call path's text as (file name, line number) again; hidden files are (None, None)."""
    steps: list[tuple[str | None, int | None]] = []
    for text in path.split(_ARROW) if path else ():
        match = _STEP.fullmatch(text)
        if match is None:
            steps.append((None, None))
        else:
            steps.append((match["name"], None if match["line"] == "None" else int(match["line"])))
    return tuple(steps)

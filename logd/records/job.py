"""One record on its way through the pipeline, as filters, observers and formats see it.

Records travel in columns (`logd.records.batch`); a `MsgJob` is made only if something wants to look
at one record at a time.
"""

from __future__ import annotations

import time as clock
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from logd.records.callpath import ShortNames

if TYPE_CHECKING:
    from logd.records.callpath import Path, PathFormatter


class MsgJob:
    """One record. Filters may change any attribute; what they leave is written.

    Attributes:
        msgid: id of the message, unique in its client.
        pid: process id of the client.
        tid: thread id of the client, 0 if unknown.
        threadname: name of the client's thread, part of its identification.
        ts: the timestamp as text, empty if the log has none.
        msg: the message as the client made it.
        cat: the category, may be empty.
        path: the client's call path, a sequence of (file name, line number); [0] is where the log
            call happened, (None, None) stands for a hidden file.
        tblen: depth of the client's whole stack when it logged.
        cfunc: name of the function that logged.
        special: dict of the items that the app added (the `special` of the log call).
        formatter: makes text of file names; the `LogServer`. None: names without folders.
        time: the time of the record, in seconds since the epoch.
        peer: where the record came from: an IP address, or "" for this machine.
        client: id of the session it came by, None without one.
        sequence: its number in that session, 0 without one.
        dropped: True once `drop` was called.
    """

    def __init__(
        self,
        msgid: int,
        pid: int,
        tid: int,
        threadname: str,
        ts: str,
        msg: str,
        cat: str,
        path: Path,
        tblen: int,
        cfunc: str,
        special: Mapping[str, Any] | None,
        formatter: PathFormatter | None,
        *,
        time: float | None = None,
        peer: str = "",
        client: bytes | None = None,
        sequence: int = 0,
    ) -> None:
        """Make a record; its time is now if none is given."""
        self.msgid = msgid
        self.pid = pid
        self.tid = tid
        self.threadname = threadname
        self.ts = ts
        self.msg = msg
        self.cat = cat
        self.path = path
        self.tblen = tblen
        self.cfunc = cfunc
        self.special: dict[str, Any] = dict(special) if special else {}
        self.formatter = formatter
        self.time = clock.time() if time is None else time
        self.peer = peer
        self.client = client
        self.sequence = sequence
        self.dropped = False

    def __repr__(self) -> str:
        return f"<MsgJob {self.pid}#{self.msgid} {self.cat or '-'} {self.msg!r:.60}>"

    def drop(self) -> None:
        """Keep this record out of the log; for filters. Later filters do not see it."""
        self.dropped = True

    def cfn(self) -> str:
        """The caller's file name as the log shows it; empty if unknown or hidden."""
        name = self.path[0][0] if self.path else None
        return "" if name is None else self._formatter().format_fname(name) or ""

    def cln(self) -> int:
        """The caller's line number; 0 if unknown or hidden."""
        return (self.path[0][1] or 0) if self.path else 0

    def pathStr(self, imin: int = 0) -> str:
        """The call path as text, from item `imin` on.

        `imin=1` leaves out the first item, which is also there as `cfn()` and `cln()`.
        """
        return self._formatter().pathAsStr(self.path, imin)

    def copy_update(self, kwargs: Mapping[str, Any]) -> MsgJob:
        """Make a new record from my own init arguments, those in `kwargs` replaced.

        Raises:
            TypeError: `kwargs` has a name that is no argument of `MsgJob`.
        """
        arguments = {
            "msgid": self.msgid,
            "pid": self.pid,
            "tid": self.tid,
            "threadname": self.threadname,
            "ts": self.ts,
            "msg": self.msg,
            "cat": self.cat,
            "path": self.path,
            "tblen": self.tblen,
            "cfunc": self.cfunc,
            "special": self.special,
            "formatter": self.formatter,
            "time": self.time,
            "peer": self.peer,
            "client": self.client,
            "sequence": self.sequence,
        }
        return MsgJob(**{**arguments, **kwargs})

    def getFormattedDict(self) -> dict[str, Any]:
        """Return the values of the default database columns (deprecated).

        Use `format_dict` of `DBLogWriter` instead.
        """
        warnings.warn(
            "MsgJob.getFormattedDict is deprecated; use format_dict of DBLogWriter",
            DeprecationWarning,
            stacklevel=2,
        )
        return {
            "pid": self.pid,
            "threadname": self.threadname,
            "msgid": self.msgid,
            "ts": self.ts,
            "cat": self.cat,
            "msg": self.msg,
            "cfunc": self.cfunc,
            "cfn": self.cfn(),
            "cln": self.cln(),
            "path": self.pathStr(),
        }

    def _formatter(self) -> PathFormatter:
        return ShortNames() if self.formatter is None else self.formatter

"""Indents messages by the depth of the stack they were logged from, to make calls visible.

log = createPrintIndentLog()
log("order received")            # order received
check(order)                     #   checking order 812
                                 #     stock is 4
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from logd import printwriter

if TYPE_CHECKING:
    from logd.records.job import MsgJob
    from logd_client import Log

__all__ = ["StackIndentFilter", "createPrintIndentLog"]

TARA = "stackindent_tara"
"""Special item that says how deep the current call is to appear."""

# This many threads may log in turn, each indented by itself; then the one longest unheard starts
# anew. A bound is needed, as a server sees threads come and go forever.
_MAX_THREADS = 10_000
# Recursion deeper than this would fill the log with blanks.
_MAX_DEPTH = 100


class StackIndentFilter:
    """Puts `token` before a message, once for each call between the first log call and this one.

    The first log call of each thread is depth zero, and a call from less deep is too. The special
    item `stackindent_tara=n` makes the call that carries it depth n; the item itself is not
    logged. Records without a stack (`extractStack=False`) are not indented. Each line of a message
    is indented.

    Args:
        token: the indent of one level.
        msgPrefix: stands between indent and message: a str, or a callable that makes it of the
            job.
    """

    def __init__(
        self,
        token: str = " ",  # noqa: S107 - an indent, no secret
        msgPrefix: str | Callable[[MsgJob], str] | None = None,
    ) -> None:
        self._token = token
        self._prefix = msgPrefix
        self._ground: OrderedDict[tuple[str, int, int], int] = OrderedDict()

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Indent the current message."""
        job = jobhist[-1]
        tara = job.special.get(TARA)
        if tara is not None:
            job.special = {key: item for key, item in job.special.items() if key != TARA}
        indent = self._token * self._depth(job, tara)
        prefix = self._prefix(job) if callable(self._prefix) else self._prefix or ""
        if indent or prefix:
            job.msg = "\n".join(indent + prefix + line for line in job.msg.split("\n"))

    def _depth(self, job: MsgJob, tara: str | int | None) -> int:
        if not job.tblen:
            return 0
        thread = (job.peer, job.pid, job.tid)
        if isinstance(tara, int):
            self._ground[thread] = job.tblen - tara
        ground = self._ground.setdefault(thread, job.tblen)
        self._ground.move_to_end(thread)
        if len(self._ground) > _MAX_THREADS:
            self._ground.popitem(last=False)
        return min(max(job.tblen - ground, 0), _MAX_DEPTH)


def createPrintIndentLog(
    token: str = "  ",  # noqa: S107 - an indent, no secret
    msgPrefix: str | Callable[[MsgJob], str] | None = None,
    writer: Any = None,
    filters: Iterable[Callable[..., Any]] | None = None,
    observers: Iterable[Callable[..., Any]] | None = None,
    traceOffset: int = 0,
    tsFormat: str | None = None,
    writeMsgid: bool = False,
    stackMax: int = 1,
    catsEnable: Collection[str] | None = None,
    catsDisable: Collection[str] | None = None,
    seFilesExclude: Callable[[str], bool] | None = None,
    format_line: Callable[..., str] | None = None,
    name: str | None = None,
) -> Log:
    """A log in this process that prints indented messages on stdout.

    Args:
        token: see `StackIndentFilter`.
        msgPrefix: see `StackIndentFilter`.
        writer: see `logd.printwriter.createLocalLog`, as for all below but `filters`.
        filters: run before the one that indents.
        observers: see above.
        traceOffset: see above.
        tsFormat: see above.
        writeMsgid: see above.
        stackMax: see above.
        catsEnable: see above.
        catsDisable: see above.
        seFilesExclude: see above.
        format_line: see above.
        name: see above.
    """
    return printwriter.createLocalLog(
        writer=writer,
        filters=[*(filters or ()), StackIndentFilter(token, msgPrefix)],
        observers=observers,
        traceOffset=traceOffset,
        tsFormat=tsFormat,
        writeMsgid=writeMsgid,
        stackMax=stackMax,
        catsEnable=catsEnable,
        catsDisable=catsDisable,
        seFilesExclude=seFilesExclude,
        format_line=format_line,
        name=name,
    )

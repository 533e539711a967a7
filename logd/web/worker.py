"""A process that reads the log for the web server: `python -m logd.web.worker`, started by it.

Lines of JSON on standard input and output. The first line has the settings' sources; then each
request is {"id", "task", "parameters", "only"}, each answer {"id", "ok": {...}} or {"id",
"failed": {...}}. A line {"cancel": id} ends the task at its next block. The end of the input ends
the process. It yields to everything else on the machine by niceness 10; as a service it has the
disk only while that is idle, too (`systemd/logd-web.service`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logd.errors import LogdError
from logd.query.places import first_there, sources_of
from logd.settings.loading import load
from logd.settings.sources import Sources
from logd.web.answers.ledger import Ledger, mark_terms
from logd.web.answers.limits import ScanLimits
from logd.web.answers.owncode import OwnCode
from logd.web.answers.pages import request_items
from logd.web.tasks import Failed, Reader, short_paths

NICENESS = 10
READ_BYTES = 65_536

logger = logging.getLogger(__name__)


class TaskDropped(Exception):
    """Nobody waits for the task any more."""


class Lines:
    """Requests as they come; looks for more in the middle of a task, without waiting."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._waiting: deque[dict[str, Any]] = deque()
        self._cancelled: set[int] = set()
        self.is_ended = False

    def next(self) -> dict[str, Any] | None:
        """The next request; None at the end of the input."""
        while not self._waiting:
            if self.is_ended:
                return None
            self._read()
        return self._waiting.popleft()

    def is_cancelled(self, number: int) -> bool:
        """Whether a request is not wanted any more."""
        while not self.is_ended and select.select([self._descriptor], [], [], 0)[0]:
            self._read()
        return self.is_ended or number in self._cancelled

    def _read(self) -> None:
        data = os.read(self._descriptor, READ_BYTES)
        if not data:
            self.is_ended = True
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if "cancel" in request:
                self._cancelled.add(request["cancel"])
            else:
                self._waiting.append(request)


def sources_from(plain: Mapping[str, Any]) -> Sources:
    """The settings' sources as the server sends them."""
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plain["command_line"].items()
    }
    file = plain["file"]
    return Sources(options, plain["environment"], None if file is None else Path(file))


def make_reader(sources: Sources) -> Reader:
    """The reader of the log that these settings name.

    Raises:
        LogdError: there is no log to read.
    """
    config = load(sources).config
    source = first_there(sources_of(config))
    ledger = Ledger(source, mark_terms(config.web_marks))
    return Reader(
        source,
        ledger,
        ScanLimits(config.web_scan_s, config.web_scan_bytes),
        request_items(config.web_request_key),
        OwnCode(config.web_own_code),
    )


def answer_of(
    request: Mapping[str, Any], reader: Reader | None, sources: Sources, lines: Lines
) -> tuple[dict[str, Any], Reader | None]:
    """The answer to a request, and the reader for the next one; a missing log may come later."""
    number = request["id"]

    def watch(done: float) -> None:
        if lines.is_cancelled(number):
            raise TaskDropped

    try:
        if lines.is_cancelled(number):
            raise TaskDropped
        if reader is None:
            try:
                reader = make_reader(sources)
            except LogdError as exc:
                raise Failed(
                    503,
                    "no_log",
                    short_paths(str(exc)),
                    "It appears here as soon as it is written.",
                ) from exc
        done = reader.run(request["task"], request["parameters"], request["only"], watch)
    except TaskDropped:
        return {
            "id": number,
            "failed": {"status": 499, "code": "cancelled", "text": "", "hint": ""},
        }, reader
    except Failed as exc:
        failed = {"status": exc.status, "code": exc.code, "text": str(exc), "hint": exc.hint}
        return {"id": number, "failed": failed}, reader
    except Exception as exc:
        logger.exception("a task failed: %s", request["task"])
        failed = {"status": 500, "code": "fault", "text": f"a fault of logd web: {exc}", "hint": ""}
        return {"id": number, "failed": failed}, None
    return {"id": number, "ok": done}, reader


def main() -> None:
    """Answer until the input ends."""
    # A sandbox may refuse that.
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    lines = Lines(sys.stdin.fileno())
    first = lines.next()
    if first is None:
        return
    sources = sources_from(first)
    reader: Reader | None = None
    # Not sys.stdout, which with PYTHONUNBUFFERED may write less than it was given.
    answers = open(sys.stdout.fileno(), "wb", closefd=False)  # noqa: SIM115 - until the end
    while (request := lines.next()) is not None:
        answer, reader = answer_of(request, reader, sources, lines)
        data = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
        try:
            answers.write(data)
            answers.flush()
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()

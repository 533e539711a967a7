"""The daemon's live feed, over its control socket: each entry right after it was written.

One request, then JSON objects, one a line: first where the feed begins, so that what was written
before can be read from the log without a gap, then the entries. The connection is not waited on
here: `fileno` is for callers that wait for several things at once.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from logd.errors import LogdError
from logd.query.files.listing import real_path
from logd.query.positions import FilePosition, Position, TablePosition
from logd.query.selection import Selection
from logd.records.entry import Entry
from logd.settings.controlpath import short_address

ANSWER_TIMEOUT_S = 5.0
"""How long a daemon may take for its first answer."""

MAX_LINE_BYTES = 64 << 20
_RECEIVED_AT_ONCE = 1 << 18


class NoFeed(LogdError):
    """No daemon gives a live feed here; the text says why."""


class LiveFeed:
    """A feed that has begun.

    Args:
        path: of the control socket.
        selection: the daemon leaves out what has another category or process id; the caller asks
            `Selection.matches` for the rest.

    Attributes:
        output: the daemon's name of the output that the feed is of.
        position: of the log behind what was read by now, at first where the feed began; None if
            that output keeps nothing that can be read.
        skipped: entries that the daemon left out because they were not taken fast enough.
        has_ended: the daemon has closed the connection.
        why_ended: what it said to that.

    Raises:
        NoFeed: nobody listens there, or not for this.
    """

    def __init__(self, path: Path, selection: Selection) -> None:
        self.skipped = 0
        self.has_ended = False
        self.why_ended = "the daemon has ended the live feed"
        self._rest = b""
        # Entries of a write that has not come to its end.
        self._held: list[Entry] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(ANSWER_TIMEOUT_S)
            with short_address(path) as address:
                self._socket.connect(address)
            request = {
                "do": "follow",
                "cats": None if selection.cats is None else sorted(selection.cats),
                "pid": next(iter(pids)) if (pids := selection.pids) and len(pids) == 1 else None,
            }
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer = self._first_answer()
            self._socket.setblocking(False)
        except (OSError, ValueError) as exc:
            self._socket.close()
            raise NoFeed(f"{path}: {getattr(exc, 'strerror', None) or exc}") from exc
        except BaseException:
            self._socket.close()
            raise
        self.output = str(answer.get("output") or "")
        self.position = _position(answer.get("position"))

    def fileno(self) -> int:
        """For `select` and `poll`: readable when `read` has something."""
        return self._socket.fileno()

    def read(self) -> Sequence[Entry]:
        """The entries that have come; none if there are none, or the feed has ended.

        Those of a write come together, and `position` with them: so it is always known what was
        read and what was not. Nothing comes behind entries that were left out if the log has them.
        """
        entries: list[Entry] = []
        for line in self._lines():
            items = _object(line)
            if "msg" in items:
                self._held.append(Entry.from_feed(items))
            elif "at" in items:
                if self.skipped and self.position is not None:
                    continue
                entries += self._held
                self._held.clear()
                self.position = _position(items["at"]) or self.position
            elif "skipped" in items:
                self.skipped += int(items["skipped"])
            elif "ended" in items:
                self.why_ended = str(items["ended"])
        return entries

    def close(self) -> None:
        """Leave the feed."""
        self._socket.close()

    def _lines(self) -> list[bytes]:
        try:
            data = self._socket.recv(_RECEIVED_AT_ONCE)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data or len(self._rest) > MAX_LINE_BYTES:
            self.has_ended = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def _first_answer(self) -> Mapping[str, Any]:
        data = b""
        while b"\n" not in data:
            more = self._socket.recv(_RECEIVED_AT_ONCE)
            if not more or len(data) > MAX_LINE_BYTES:
                raise ValueError("the daemon closed the connection")
            data += more
        line, _, self._rest = data.partition(b"\n")
        answer = _object(line)
        if not answer.get("following"):
            raise ValueError(str(answer.get("error") or "the daemon gives no live feed"))
        return answer


def _object(line: bytes) -> Mapping[str, Any]:
    if not line:
        return {}
    items = json.loads(line)
    if not isinstance(items, dict):
        raise ValueError(f"expected a JSON object from the daemon, got {line[:80]!r}")
    return items


def _position(items: object) -> Position | None:
    match items:
        case {"file": str(path), "size": int(size), **more}:
            file = Path(path)
            generation = str(more.get("generation") or "")
            return FilePosition(str(real_path(file.parent) / file.name), size, generation)
        case {"table": str(table), "id": int(last_id)}:
            return TablePosition(table, last_id)
        case _:
            return None

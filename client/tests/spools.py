"""What the tests of spools share: made ones, and programs that have one."""

from __future__ import annotations

import pickle
import signal
import subprocess
from pathlib import Path

from ack_server import decode_batch

from logd_client.records import AnyRow, Context
from logd_client.rowjournal import RowJournal
from logd_client.rows import NumberedRows
from logd_client.spool import Spool, open_leftovers
from logd_client.spoolreader import LeftRecords

SOURCES = str(Path(__file__).parent.parent)
CONTEXT = Context((1, 2, "t", "E", (), 0, ""))
CLIENT = b"s" * 16


def end_app(app: subprocess.Popen[str], *, kill: bool = False) -> None:
    """Let an app end, or kill it."""
    if kill:
        app.send_signal(signal.SIGKILL)
    app.communicate(timeout=60)


def folders(spool: Path) -> list[Path]:
    """The sessions in a spool directory."""
    return sorted(spool.iterdir())


def rows(count: int, first: int = 1) -> list[AnyRow]:
    """Records whose message ids are their numbers."""
    return [(CONTEXT, n, 1.0, f"{n} {'x' * 10}", ()) for n in range(first, first + count)]


def made_spool(directory: Path, given: list[AnyRow], acked: int = 0) -> Path:
    """A spool with those records, left by a process that is gone; returns its file."""
    spool = Spool.create(directory, CLIENT)

    def report(exc: BaseException) -> None:
        raise exc

    journal = RowJournal(lambda: spool.folder, 1 << 20, report)
    waiting = NumberedRows()
    waiting.extend(given)
    journal.write(waiting)
    journal.close()
    spool.acknowledge(acked)
    spool.close(remove=False)
    (path,) = directory.rglob("*.rows")
    return path


def adopted(directory: Path) -> tuple[list[int], int]:
    """Message ids of what the next process finds, and how many are lost; then the folder goes."""
    (spool,) = open_leftovers(directory)
    assert spool.client_id in (CLIENT, bytes.fromhex(spool.folder.name))
    left = LeftRecords(spool.folder, spool.acked, "damaged")
    found: list[int] = []
    last = spool.acked
    for entry in [entry for run in left.runs() for entry in run]:
        told = decode_batch(pickle.loads(entry.frame[4:]))
        missing = told[0][4].get("lost", 0)
        assert last is None or entry.first == last + max(1, missing)
        last = entry.last
        found += [record[0] for record in told if not missing]
    spool.damaged = left.damaged
    spool.close(remove=True)
    return found, left.lost

"""What senders send by default never needs the machine, whose cost is ten times the others'."""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import subprocess
import sys

import pytest

from logd.wire import Decoder, Frames
from logd.wire.pickles import machine
from tests.wire.test_logrecords import VERSIONS, frames_of, interpreter, rows

# Sites without a folder, and equal texts that are one object: of the record and of the extras.
SENDER = r"""
import logging, logging.handlers, os

class Handler(logging.handlers.SocketHandler):
    def send(self, data):
        os.write(1, data)

log = logging.getLogger("shop")
log.addHandler(Handler("localhost", 1))
log.propagate = False
log.setLevel(1)

def index(n):
    log.info("order %d", n, extra={"route": "index", "request_id": "r%d" % n, "user": n})

def other(n):
    log.warning("order %d", n, extra={"shop": "shop", "where": "MainThread", "ms": n + 0.5})

for n in range(12):
    index(n)
    other(n)
    log.error("plain %d", n)
"""


def to_the_machine(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The payloads that the machine gets from now on."""
    seen: list[bytes] = []
    run = machine.run

    def noting(payload: bytes) -> object:
        seen.append(payload)
        return run(payload)

    monkeypatch.setattr(machine, "run", noting)
    return seen


@pytest.mark.parametrize("version", VERSIONS)
def test_sites_without_a_folder_are_quick(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parts of a frame share keeps none of them from being known, in any Python."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    sent = subprocess.run([python, "-c", SENDER], capture_output=True, check=True, timeout=60)
    seen = to_the_machine(monkeypatch)
    got = rows(Decoder().decode(frames_of(sent.stdout)))
    # A place is known from its second frame on.
    assert len(seen) <= 2
    assert [row.msg for row in got[:3]] == ["order 0", "order 0", "plain 0"]
    for n in range(12):
        first, second, third = (row.special for row in got[3 * n : 3 * n + 3])
        assert first == {"logger": "shop", "route": "index", "request_id": f"r{n}", "user": n}
        assert second == {"logger": "shop", "shop": "shop", "where": "MainThread", "ms": n + 0.5}
        assert third == {"logger": "shop"}
    assert {row.path[0][0] for row in got} == {"<string>"}


@pytest.mark.parametrize("protocol", range(1, 6))
def test_shared_texts_are_quick_in_any_protocol(
    protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file name that is its own path, and a value that stands elsewhere, are proven, too."""
    made = logging.makeLogRecord({"name": "app", "msg": "m", "pathname": "run.py"})
    name = sys.intern("run.py")
    made.__dict__ |= {
        "args": None,
        "pathname": name,
        "filename": name,
        "module": name,
        "route": name,
    }
    seen = to_the_machine(monkeypatch)
    (row,) = rows(Decoder().decode(Frames.of(pickle.dumps(made.__dict__, protocol))))
    assert row.special == {"logger": "app", "route": "run.py"}
    assert seen == []

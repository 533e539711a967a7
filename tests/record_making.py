"""Records for tests of the pipeline and its writers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from logd.records.batch import Batch
from logd.records.context import Context
from logd.records.job import MsgJob

MOMENT = 1_795_345_800.123
"""2026-11-22 11:10:00.123 UTC."""

PATH = (("/srv/shop/views.py", 42), ("/srv/shop/urls.py", 10))
HERE = Context(4711, 9, "MainThread", "E", PATH, 12, "charge")


def make_jobdata(number: int = 17, msg: str = "payment failed", **changes: Any) -> tuple[Any, ...]:
    """The tuple of 11 that a client sends."""
    fields = {
        "msgid": number,
        "pid": 4711,
        "tid": 9,
        "threadname": "MainThread",
        "ts": MOMENT,
        "msg": msg,
        "cat": "E",
        "path": PATH,
        "tblen": 12,
        "cfunc": "charge",
        "special": {},
    }
    assert not changes.keys() - fields.keys()
    return tuple({**fields, **changes}.values())


def make_batch(count: int = 1, **changes: Any) -> Batch:
    """Records "message 0", "message 1", ... of one place."""
    arguments: dict[str, Any] = {
        "contexts": (HERE,),
        "index": bytes(count),
        "msgid": range(1, count + 1),
        "time": [MOMENT] * count,
        "msg": [f"message {row}" for row in range(count)],
    }
    return Batch(**{**arguments, **changes})


def make_job(msg: str = "payment failed", **changes: Any) -> MsgJob:
    """One record as an object."""
    job = make_batch(1, msg=[msg], msgid=[17]).jobs()[0]
    return job.copy_update(changes)


def from_threads(names: Iterable[str], act: Callable[[str], None]) -> None:
    """Call `act` with each name, all at the same time, each in a thread of its own."""
    threads = [threading.Thread(target=act, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

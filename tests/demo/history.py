"""Writes the shop's past into a ring of text files, as a daemon would have written it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from logd.outputs.base import OutputSettings
from logd.outputs.deadletters import DeadLetterFile
from logd.outputs.files.output import FileOutput
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.lines import LineFormat
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps
from tests.demo.shop import DEPLOY_AFTER_S, STORY_S, Logged, records

LOST = 412
QUIET_S = 4 * 3600.0
"""How long before the story the log begins."""


def write_history(pattern: Path, now: float, *, thinned: int = 1) -> int:
    """Write what the shop logged until `now`; returns how many records that were.

    Args:
        pattern: of the files' names, "logs/logd_%d.log".
        now: when the history ends, in seconds since the epoch.
        thinned: only one of so many of the harmless records is written, for tests.
    """
    pattern.parent.mkdir(parents=True, exist_ok=True)
    state = pattern.parent / ".logd-state"
    state.mkdir(exist_ok=True)
    output = FileOutput(
        str(pattern),
        OutputSettings(
            rotation=RotationPolicy(lines=50_000),
            retention=Retention(count=10),
            line_format=LineFormat(),
            durable=False,
            state_dir=state,
            dead_letters=DeadLetterFile(state / "dead-letters"),
        ),
    )
    output.open()
    written = 0
    try:
        for batch in _batches(now, thinned):
            output.write([batch])
            written += len(batch)
    finally:
        output.close()
    return written


def _batches(now: float, thinned: int) -> Iterator[Batch]:
    stamps = Timestamps(DEFAULT_FORMAT)
    begins = now - STORY_S
    lost_at = begins + DEPLOY_AFTER_S + 1200
    run: list[Logged] = []
    number = skipped = 0
    for one in heapq.merge(
        records(begins - QUIET_S, now, begins), [_lost(lost_at)], key=lambda record: record.time
    ):
        if one.cat in "ID" and one.logger != "deploy" and not one.items.get("lost"):
            skipped = (skipped + 1) % thinned
            if skipped and "checkout" not in one.msg:
                continue
        if run and (run[0].host != one.host or len(run) == 200):
            yield _batch(run, number, stamps)
            number += len(run)
            run = []
        run.append(one)
    if run:
        yield _batch(run, number, stamps)


def _lost(moment: float) -> Logged:
    text = f"{LOST} records were lost here: the buffer was full"
    where = ("10.20.0.12", 2203, "logd_client")
    return Logged(moment, "I", "", text, "", 0, "", *where, {"lost": LOST})


def _batch(run: list[Logged], number: int, stamps: Timestamps) -> Batch:
    contexts: dict[Context, int] = {}
    index = bytearray()
    for one in run:
        path = ((one.file, one.line),) if one.file else ()
        context = Context(one.pid, 1, one.thread, one.cat, path, 1, one.func)
        index.append(contexts.setdefault(context, len(contexts)))
    times = [one.time for one in run]
    special = {
        row: ({"logger": one.logger} if one.logger else {}) | one.items
        for row, one in enumerate(run)
    }
    return Batch(
        list(contexts),
        bytes(index),
        range(number, number + len(run)),
        times,
        [one.msg for one in run],
        special,
        peer=run[0].host,
        ts=stamps.texts(times),
        formatter=ShortNames(),
    )

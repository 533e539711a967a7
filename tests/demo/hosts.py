"""A filter of the demo's daemon: all hosts are this machine, so records say whose they are."""

from __future__ import annotations

from collections.abc import Sequence

from logd.records.job import MsgJob

HOST_ITEM = "of_host"


def of_its_host(jobhist: Sequence[MsgJob], _writer: object) -> None:
    """Let a record come from the host that it names."""
    job = jobhist[-1]
    job.peer = job.special.pop(HOST_ITEM, job.peer)

"""A filter of the demo's daemon: all hosts are this machine, so records say whose they are."""

from __future__ import annotations

from logd.records.job import MsgJob

HOST_ITEM = "of_host"


def of_its_host(job: MsgJob) -> None:
    """Let a record come from the host that it names."""
    job.peer = job.special.pop(HOST_ITEM, job.peer)

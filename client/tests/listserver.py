"""A server in the same process that keeps what a `Log` gives it."""

from __future__ import annotations

from typing import Any

from logd_client import Log


class ListServer:
    """What `Log` needs of a server: keeps the 11-tuples."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Any, ...]] = []
        self.clients = 0

    def addClient(self) -> None:
        self.clients += 1

    def log(self, jobdata: tuple[Any, ...]) -> None:
        self.jobs.append(jobdata)

    @property
    def last(self) -> dict[str, Any]:
        names = ["msgid", "pid", "tid", "threadname", "ts", "msg", "cat", "path", "tblen"]
        names += ["cfunc", "special"]
        return dict(zip(names, self.jobs[-1]))


def make(**kwargs: Any) -> tuple[Log, ListServer]:
    """A log with a server that keeps all."""
    server = ListServer()
    return Log(server, **kwargs), server

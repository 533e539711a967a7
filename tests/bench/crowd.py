"""Thousands of sessions in one thread: connect, open, send, wait for the acknowledgements."""

from __future__ import annotations

import os
import resource
import selectors
import socket
from types import TracebackType
from typing import Self

from logd_client.session import REFUSAL_BASE, AnswerDecoder, encode_opening
from tests.bench.encoders import Load
from tests.bench.processes import ContenderFailed, Server

_SPARE_DESCRIPTORS = 200


class _Member:
    """One session: what it has still to send, and what it waits for."""

    def __init__(self, connection: socket.socket, chunks: list[bytes], records: int) -> None:
        self.connection = connection
        self.unsent = memoryview(b"".join(chunks))
        self.records = records
        self._decoder = AnswerDecoder()
        self._acknowledged = -1

    def send(self) -> bool:
        """Send what the kernel takes; whether everything is sent."""
        try:
            self.unsent = self.unsent[self.connection.send(self.unsent) :]
        except BlockingIOError:
            return False
        return not self.unsent

    def receive(self, wanted: int) -> bool:
        """Read answers; whether everything up to `wanted` is acknowledged."""
        data = self.connection.recv(4096)
        if not data:
            raise ContenderFailed(f"closed after acknowledging {self._acknowledged}")
        self._acknowledged = max([self._acknowledged, *self._decoder.receive_data(data)])
        if self._acknowledged >= REFUSAL_BASE:
            raise ContenderFailed(f"refused with code {self._acknowledged - REFUSAL_BASE}")
        return self._acknowledged >= wanted


class Crowd:
    """The sessions of a load, connected and opened when made; closed at the end of `with`.

    Raises:
        ContenderFailed: more connections than this process may have open, or the server refused.
    """

    def __init__(self, server: Server, port: int, load: Load) -> None:
        allow_descriptors(len(load.chunks))
        self._selector = selectors.EpollSelector()
        self._members = []
        records = load.records // len(load.chunks)
        for chunks in load.chunks:
            connection = server.connect(port)
            connection.sendall(encode_opening(os.urandom(16), 1))
            connection.setblocking(False)
            self._members.append(_Member(connection, chunks, records))
        self._run(selectors.EVENT_READ, is_opening=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._selector.close()
        for member in self._members:
            member.connection.close()

    def send_all(self) -> None:
        """Send everything as fast as it is taken; returns when all is acknowledged."""
        self._run(selectors.EVENT_READ | selectors.EVENT_WRITE, is_opening=False)

    def _run(self, events: int, *, is_opening: bool) -> None:
        for member in self._members:
            self._selector.register(member.connection, events, member)
        waiting = len(self._members)
        while waiting:
            ready = self._selector.select(timeout=60)
            if not ready:
                raise ContenderFailed(f"nothing happened for 60 s, {waiting} sessions wait")
            for key, mask in ready:
                member = key.data
                if mask & selectors.EVENT_WRITE and member.send():
                    self._selector.modify(member.connection, selectors.EVENT_READ, member)
                if mask & selectors.EVENT_READ:
                    wanted = 0 if is_opening else member.records
                    if member.receive(wanted):
                        self._selector.unregister(member.connection)
                        waiting -= 1


def allow_descriptors(connections: int) -> None:
    """Raise this process's limit of open files, and that of servers it starts, if need be."""
    needed = connections + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    if hard not in (resource.RLIM_INFINITY, -1) and hard < needed:
        raise ContenderFailed(f"at most {hard} open files allowed here, {needed} needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

"""Connections that offer prepared bytes as fast as they are taken."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from socket import SHUT_WR, socket

from logd_client.session import REFUSAL_BASE, AnswerDecoder, encode_opening
from tests.bench.encoders import Load
from tests.bench.processes import ContenderFailed, Server


class Senders:
    """One thread a connection; connected when made, sending from `go` on.

    The work is in the kernel: threads that hand over 256 KiB a call don't compete for the
    interpreter. Sessions have a second thread each, for the answers; they have ended when all is
    acknowledged, the others when all was sent.
    """

    def __init__(self, server: Server, port: int, load: Load) -> None:
        self._errors: list[BaseException] = []
        self._start = threading.Event()
        self._records_each = load.records // len(load.chunks)
        send = self._send_session if load.is_session else self._send_plain
        self._threads = [
            threading.Thread(target=self._run, args=(send, connection, chunks), daemon=True)
            for connection, chunks in [(server.connect(port), chunks) for chunks in load.chunks]
        ]
        for thread in self._threads:
            thread.start()

    def go(self) -> None:
        """Let all connections send from now on."""
        self._start.set()

    def check(self) -> None:
        """Raises what a connection died of."""
        if self._errors:
            raise self._errors[0]

    def join(self) -> None:
        """Wait for the ends of all connections."""
        for thread in self._threads:
            thread.join()
        self.check()

    def _run(
        self,
        send: Callable[[socket, Sequence[bytes]], None],
        connection: socket,
        chunks: Sequence[bytes],
    ) -> None:
        try:
            with connection:
                send(connection, chunks)
        except BaseException as exc:  # handed to the thread that waits
            self._errors.append(exc)

    def _send_plain(self, connection: socket, chunks: Sequence[bytes]) -> None:
        self._start.wait()
        _send_all(connection, chunks)
        connection.shutdown(SHUT_WR)

    def _send_session(self, connection: socket, chunks: Sequence[bytes]) -> None:
        answers = open_session(connection)
        self._start.wait()
        send_batches(connection, answers, chunks, self._records_each)


class Answers:
    """What the server tells a session: how far it is stored."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._decoder = AnswerDecoder()
        self.highest = -1

    def await_number(self, wanted: int) -> None:
        """Read until everything up to record `wanted` is acknowledged.

        Raises:
            ContenderFailed: the server refused or closed.
        """
        while self.highest < wanted:
            data = self._connection.recv(65536)
            if not data:
                raise ContenderFailed(f"closed after acknowledging {self.highest} of {wanted}")
            self.highest = max([self.highest, *self._decoder.receive_data(data)])
            if self.highest >= REFUSAL_BASE:
                raise ContenderFailed(f"refused with code {self.highest - REFUSAL_BASE}")


def open_session(connection: socket) -> Answers:
    """Open a new session on a fresh connection; returns once the server has answered."""
    connection.sendall(encode_opening(os.urandom(16), 1))
    answers = Answers(connection)
    answers.await_number(0)
    return answers


def send_batches(connection: socket, answers: Answers, chunks: Sequence[bytes], last: int) -> None:
    """Send all batches as fast as they are taken; returns when record `last` is acknowledged."""
    sending = threading.Thread(target=_send_all, args=(connection, chunks), daemon=True)
    sending.start()
    answers.await_number(last)
    sending.join()


def _send_all(connection: socket, chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        connection.sendall(chunk)

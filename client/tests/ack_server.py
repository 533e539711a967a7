"""A small server that speaks the session protocol, for tests: real sockets, disk left out.

It keeps marks as a daemon does, so that what it has in `records` is what a log would have; and it
misbehaves on demand: drops connections, delays or loses acknowledgements, refuses.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from logd_client.session import encode_answer, encode_refusal

Record = tuple[Any, ...]


def items_by_row(specials: tuple[Any, ...]) -> dict[int, tuple[Any, ...]]:
    """Row -> its special items, flat; records that share items have the same object."""
    found: dict[int, tuple[Any, ...]] = {}
    for element in specials:
        rows, items = element[0], element[1:]
        if isinstance(rows, bytes):
            rows = struct.unpack(f">{len(rows) // 2}H", rows)
        else:
            rows = (rows,)
        assert not found.keys() & set(rows)
        found.update(dict.fromkeys(rows, items))
    return found


def decode_batch(batch: tuple[Any, ...]) -> list[Record]:
    """The records of a batch as (msgid, time, msg, context fields, special dict)."""
    _, _, count, contexts, index, msgids, times, msgs, specials = batch
    if not index:
        index = bytes(count)
    elif len(index) == 2 * count:
        index = struct.unpack(f">{count}H", index)
    ids = (
        range(msgids, msgids + count)
        if isinstance(msgids, int)
        else struct.unpack(f">{count}q", msgids)
    )
    texts = msgs.split("\0") if isinstance(msgs, str) else msgs
    special = {
        row: dict(zip(items[::2], items[1::2])) for row, items in items_by_row(specials).items()
    }
    assert len(texts) == count
    return [
        (ids[n], time, texts[n], contexts[index[n]], special.get(n, {}))
        for n, time in enumerate(struct.unpack(f">{count}d", times))
    ]


class AckServer:
    """Listens on a port of its own choice (or a Unix socket) until `close`.

    Attributes:
        records: everything stored, in the order it was stored.
        marks: client id -> highest sequence number stored.
        openings: (client id, first, token) of each connection.
        batches: how many batches arrived, repeated ones too.
        before_batch: called with each batch before it is stored; what it raises (`Refuse`,
            `Drop`) happens to the connection.
        acknowledges: while cleared, batches are stored and not acknowledged.
        token: what openings must have.
        greeting: sent before the first answer; a keep-alive there says that marks are shared.
    """

    def __init__(
        self,
        port: int = 0,
        path: Path | None = None,
        tls: ssl.SSLContext | None = None,
        token: str | None = None,
        before_batch: Callable[[tuple[Any, ...]], None] | None = None,
    ) -> None:
        self.records: list[Record] = []
        self.marks: dict[bytes, int] = {}
        self.openings: list[tuple[bytes, int, str | None]] = []
        self.batches = 0
        self.keep_records = True
        self.before_batch = before_batch
        self.greeting = b""
        self.acknowledges = threading.Event()
        self.acknowledges.set()
        self.token = token
        self.changed = threading.Condition()
        self._tls = tls
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_closing = False
        if path is None:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", port))
            self.port = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self.port = 0
        self._listener.listen(64)
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()

    def __enter__(self) -> AckServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self.changed:
                if self._is_closing:
                    return
                self._connections.add(connection)
            self._session(connection)
        except Refuse as exc:
            with contextlib.suppress(OSError):  # the client may have gone
                connection.sendall(encode_refusal(exc.code))
        except (Drop, OSError, EOFError):
            pass
        finally:
            with self.changed:
                self._connections.discard(connection)
            connection.close()

    def _session(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        with stream:
            opening = _read(stream)
            assert opening[:2] == ("logd", 1)
            client, first, token = opening[2:]
            with self.changed:
                self.openings.append((client, first, token))
                mark = self.marks.get(client, 0)
                self.changed.notify_all()
            if token != self.token:
                raise Refuse(2)
            _answer(connection, mark, self.greeting)
            while True:
                batch = _read(stream)
                if self.before_batch is not None:
                    self.before_batch(batch)
                mark = self._store(client, first, batch)
                if self.acknowledges.is_set():
                    _answer(connection, mark)

    def _store(self, client: bytes, opened: int, batch: tuple[Any, ...]) -> int:
        first, count = batch[1], batch[2]
        with self.changed:
            self.batches += 1
            mark = max(self.marks.get(client, 0), opened - 1)
            if first > mark + 1:
                raise Refuse(5)
            if self.keep_records:
                new = decode_batch(batch)[max(0, mark - first + 1) :]
                self.records += new
            stored: int = max(mark, first + count - 1)
            self.marks[client] = stored
            self.changed.notify_all()
            return stored

    @property
    def texts(self) -> list[str]:
        """The messages stored."""
        with self.changed:
            return [record[2] for record in self.records]

    def wait(self, is_so: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait until something became so."""
        with self.changed:
            assert self.changed.wait_for(is_so, timeout_s), "waited in vain"

    def wait_for_records(self, count: int) -> list[Record]:
        """The records, once there are `count` at least."""
        self.wait(lambda: len(self.records) >= count)
        return self.records

    def cut(self) -> None:
        """Cut all connections; the listener goes on."""
        with self.changed:
            for connection in self._connections:
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and cut all connections; does nothing the second time."""
        with self.changed:
            if self._is_closing:
                return
            self._is_closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        try:
            self.cut()
        except OSError:
            pass
        self._accepter.join()
        for thread in self._threads:
            thread.join()


class Refuse(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Drop(Exception):
    pass


def _answer(connection: socket.socket, mark: int, greeting: bytes = b"") -> None:
    try:
        connection.sendall(greeting + encode_answer(mark))
    except OSError:
        pass  # a client that is gone; what it sent before is still there to be read


def _read(stream: Any) -> tuple[Any, ...]:
    while True:
        (length,) = struct.unpack(">I", _exactly(stream, 4))
        if length > 1 << 20:
            raise EOFError
        if length:
            value: tuple[Any, ...] = pickle.loads(_exactly(stream, length))
            return value


def _exactly(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data

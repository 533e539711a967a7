"""A proxy before a database that can be cut, and that can swallow answers."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress


class Proxy:
    """Passes bytes between the output and a server, and can be cut.

    Attributes:
        port: where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._swallows_answers = False
        self._is_open = True
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def swallow_answers(self) -> None:
        """From now on what the server says gets lost; its next word ends the connection."""
        self._swallows_answers = True

    def refuse(self, refused: bool) -> None:
        """Hang up on new connections at once, or serve them again."""
        self._is_open = not refused

    def cut(self) -> None:
        """End all connections."""
        for pair in self._pairs:
            for one in pair:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening too; returns when all is closed."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(60)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(60)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self._is_open:
                    client.close()
                    continue
                self._swallows_answers = False
                pair = (client, socket.create_connection(self._target))
                self._pairs.append(pair)
                self._threads.append(threading.Thread(target=self._pass_on, args=pair))
                self._threads[-1].start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data or (source is server and self._swallows_answers):
                        return
                    (client if source is server else server).sendall(data)

"""A proxy that cuts connections at random bytes, in both directions, and delays what it lets by."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading


class CuttingProxy:
    """Listens on a port of its own and passes bytes on to `port`, till it cuts.

    Each connection gets a number of bytes that may pass, small or large, in each direction; the
    one that is used up first ends it, with or without the rest of what was on its way.

    Attributes:
        port: where clients connect to.
        cuts: connections cut so far.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._target = port
        self._random = random.Random(seed)
        self._is_calm = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def calm(self) -> None:
        """Cut no more."""
        self._is_calm = True

    def close(self) -> None:
        """Stop; cuts what is open."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 18)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        with contextlib.suppress(OSError):
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(target_writer)
            pumps = [
                asyncio.create_task(self._pump(reader, target_writer, 3_000_000)),
                asyncio.create_task(self._pump(target_reader, writer, 3_000)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        for one in writers:
            if self._random.random() < 0.5 and not self._is_calm:
                one.transport.abort()
            else:
                one.close()
        self._tasks.discard(task)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int
    ) -> None:
        """Pass on up to a random number of bytes, mostly a good part of `most`, sometimes few."""
        room = self._random.randrange(most) if self._random.random() < 0.8 else 40
        while data := await reader.read(65_536):
            if not self._is_calm:
                data, room = data[:room], room - len(data)
                if self._random.random() < 0.02:
                    await asyncio.sleep(self._random.random() * 0.05)
            writer.write(data)
            await writer.drain()
            if room <= 0 and not self._is_calm:
                self.cuts += 1
                return


class Gate(CuttingProxy):
    """A proxy that lets everything through, or nothing while it is shut.

    Attributes:
        bytes_per_s: what it lets through a second, in each direction; None for all.
        is_held: whether nothing goes through and nobody is told, as of a cable that is cut.
    """

    def __init__(self, port: int) -> None:
        self.bytes_per_s: float | None = None
        self.is_held = False
        self._is_shut = False
        self._writers: set[asyncio.StreamWriter] = set()
        super().__init__(port, 0)
        self.calm()

    def shut(self) -> None:
        """End all connections, and each new one at once."""
        self._is_shut = True
        self._loop.call_soon_threadsafe(self._abort_all)

    def open(self) -> None:
        """Let everything through again."""
        self._is_shut = False

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        with contextlib.suppress(OSError):
            if not self._is_shut:
                target_reader, target = await asyncio.open_connection("127.0.0.1", self._target)
                writers.append(target)
                self._writers.update(writers)
                await asyncio.gather(self._pass(reader, target), self._pass(target_reader, writer))
        for one in writers:
            self._writers.discard(one)
            one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass everything on; the end of it ends the other direction, too."""
        try:
            while data := await reader.read(65_536):
                while self.is_held:  # noqa: ASYNC110 - set by another thread
                    await asyncio.sleep(0.02)
                if self.bytes_per_s is not None:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()

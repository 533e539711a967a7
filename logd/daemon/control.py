"""The control socket: what `logd status`, `logd tail -f` and programs that manage the daemon ask.

A Unix stream socket that only the daemon's user (and root) may open, unless the settings
(`control_group`, `control_mode`) say otherwise. Requests and answers are
lines of JSON; a connection may ask many times, one after the other:

    {"do": "status"}, perhaps with "connections": how many are listed
        -> the snapshot, see `status.py`
    {"do": "rotate"}
        -> {"rotated": [names], "problems": [texts]}, once every output that works is done
    {"do": "reload"}
        -> {"changed": [settings], "at_restart": [settings], "notes": [texts]}, or an error
    {"do": "follow"}, perhaps with "cats": [categories], "pid": number, "output": name
        -> {"following": true, "output": name, "position": {...}}, then a line for each entry as
           it is written, {"at": {...}} after the entries of each write, {"skipped": number} in
           the place of entries for which the follower was too slow, and at last {"ended": text}.
           The position is where the log stood when the feed began, and "at" where it stands by
           then: all that was written before is up to there. For files {"file": absolute path,
           "size": bytes, "generation": what the file begins with} (and what earlier files of the
           ring hold), for tables {"table": name, "id": highest id}; for other outputs {}.
           A connection that follows asks nothing more.

What can't be done is answered with {"error": text}. Requests, connections and what waits for a
slow reader are bounded; nobody here ever holds up the daemon.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from logd.daemon.asking import ask_outputs
from logd.daemon.feed import Feed, LogPlaces, Subscriber, choose, encode
from logd.daemon.peers.listeners import listen_unix
from logd.daemon.status import CONNECTIONS_SHOWN, snapshot
from logd.errors import StartupError
from logd.outputs.disk import make_folder
from logd.settings.controlpath import control_path, feed_path, short_address

if TYPE_CHECKING:
    from logd.daemon.holdings import Holdings
    from logd.daemon.peers.listeners import Listener
    from logd.daemon.reload import Reloader
    from logd.daemon.runner import Daemon
    from logd.outputs.worker import OutputWorker
    from logd.settings.table import Config

logger = logging.getLogger(__name__)

MODE = 0o600
GROUP_MODE = 0o660
MAX_CONNECTIONS = 64
MAX_REQUEST_BYTES = 65_536
IDLE_S = 120.0
"""A connection that asks nothing for this long is closed: it takes the place of another."""

ANSWER_S = 10.0
"""How long a client may take to read an answer; a follower as long as it likes."""

STOP_S = 2.0
"""How long followers may take to read the last entries when the daemon stops."""

# The listener removes its socket itself. Since Python 3.13 the loop would, too, and for that looks
# at the socket's address, which is none any more if its path is long (`short_address`).
_NO_CLEANUP: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}

BUFFER_BYTES = 1 << 20
"""What waits in the transport for a slow follower; the rest waits in its `Subscriber`."""


class Request(msgspec.Struct):
    """One request, as it comes; see the module."""

    do: str
    cats: list[str] | None = None
    pid: int | None = None
    output: str | None = None
    connections: int = CONNECTIONS_SHOWN


def listen(config: Config) -> Listener | None:
    """The socket for these settings; None if its default place can't be used, with a warning.

    Raises:
        StartupError: the settings name a place or a group that can't be used.
    """
    path = control_path(config)
    group, mode = config.control_group, config.control_mode
    if mode is None:
        mode = MODE if group is None else GROUP_MODE
    try:
        with short_address(path) as address:
            listener = listen_unix(address, owner=None, group=group, mode=mode)
    except (StartupError, OSError) as exc:
        if config.control is not None or config.control_group is not None:
            raise StartupError(f"control: {exc}") from exc
        logger.warning("logd status and tail -f don't work: %s", exc)
        return None
    # The address may be one that lasts only as long as the block above.
    return type(listener)(listener.sock, path=str(path.absolute()))


def listen_feed(config: Config) -> Listener | None:
    """The feed socket for these settings; None if its default place can't be used.

    Raises:
        StartupError: the settings name a place or a group that can't be used.
    """
    path = feed_path(config)
    try:
        with short_address(path) as address:
            listener = listen_unix(address, owner=None, group=config.feed_group, mode=GROUP_MODE)
    except (StartupError, OSError) as exc:
        if config.feed is not None or config.feed_group is not None:
            raise StartupError(f"feed: {exc}") from exc
        logger.warning("only the daemon's own user can follow the log: %s", exc)
        return None
    return type(listener)(listener.sock, path=str(path.absolute()))


class Control:
    """The daemon's end of the control socket. Event loop's thread only.

    Args:
        daemon: what is asked about.
        listener: the socket, closed in `stop`.
        reloader: does the reloads.
        feed: of the live feed's followers.
        holdings: what outputs keep.
        is_feed: whether this is the feed socket: it is asked for status and follows only, by
            users that may read the log and not rule the daemon.
        listen_again: makes another socket at the same place.
    """

    def __init__(
        self,
        daemon: Daemon,
        listener: Listener,
        reloader: Reloader,
        feed: Feed,
        holdings: Holdings,
        *,
        is_feed: bool = False,
        listen_again: Callable[[], Listener | None] = lambda: None,
    ) -> None:
        self._daemon = daemon
        self._listener = listener
        self._listen_again = listen_again
        self._reloader = reloader
        self._feed = feed
        self._holdings = holdings
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._requests: dict[str, Callable[[Request], Coroutine[Any, Any, dict[str, Any]]]] = {
            "status": self._status,
            "rotate": self._rotate,
            "reload": self._reload,
        }
        if is_feed:
            self._requests = {"status": self._status}

    async def start(self) -> None:
        """Begin to answer."""
        self._server = await asyncio.start_unix_server(
            self._connected, sock=self._listener.sock, limit=MAX_REQUEST_BYTES, **_NO_CLEANUP
        )

    async def renew(self) -> None:
        """Listen anew if the socket's file is gone: perhaps its folder went with the log's."""
        before = self._server
        listener = await asyncio.to_thread(self._made_again)
        if before is not None and listener is not None:
            self._listener = listener
            await self.start()
            # Clients that are connected stay.
            before.close()

    def _made_again(self) -> Listener | None:
        path = self._listener.path
        if path is None or Path(path).is_socket():
            return None
        try:
            make_folder(Path(path).parent)
            return self._listen_again()
        except (OSError, StartupError) as exc:
            logger.warning("%s is gone, and can't be made again: %s", path, exc)
            return None

    async def stop(self) -> None:
        """Send followers what was written last, then close everything."""
        if self._server is not None:
            self._server.close()
        for follower in tuple(self._feed.followers):
            follower.end("the daemon stops")
        if self._connections:
            await asyncio.wait(self._connections, timeout=STOP_S if self._feed.followers else 0)
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._listener.close()

    # -- connections ---------------------------------------------------------------------------

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.write(_line({"error": f"over {MAX_CONNECTIONS} connections"}))
            writer.close()
            return
        task = asyncio.create_task(self._guarded(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _guarded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
            writer.close()
            await asyncio.wait_for(writer.wait_closed(), ANSWER_S)
        except (OSError, TimeoutError):
            logger.debug("control: a client hung up, or slept")
        except Exception:
            logger.exception("control: a request failed")
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), IDLE_S)
            except ValueError:
                await _send(writer, {"error": f"a request is over {MAX_REQUEST_BYTES} bytes"})
                return
            if not line:
                return
            try:
                request = msgspec.json.decode(line, type=Request)
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                await _send(writer, {"error": f"not a request: {exc}"})
                return
            if request.do == "follow":
                await self._follow(request, reader, writer)
                return
            answer = self._requests.get(request.do)
            if answer is None:
                known = ", ".join(sorted([*self._requests, "follow"]))
                await _send(writer, {"error": f'unknown request "{request.do}"; known: {known}'})
            else:
                await _send(writer, await answer(request))

    # -- requests --------------------------------------------------------------------------------

    async def _status(self, request: Request) -> dict[str, Any]:
        holdings = await self._holdings.look()
        status = snapshot(self._daemon, max(0, request.connections), holdings)
        status["followers"] = len(self._feed.followers)
        status["reloads"] = {
            "total": self._reloader.reloads,
            "last_succeeded": self._reloader.succeeded,
        }
        return status

    async def _rotate(self, request: Request) -> dict[str, Any]:
        workers = self._workers()
        problems = await ask_outputs(workers, lambda one: one.output.rotate())
        return {"rotated": [worker.output.name for worker in workers], "problems": problems}

    async def _reload(self, request: Request) -> dict[str, Any]:
        outcome = await self._reloader.reload()
        if outcome.problems:
            return {"error": "not reloaded: " + "; ".join(outcome.problems)}
        return {
            "changed": outcome.changed,
            "at_restart": outcome.at_restart,
            "notes": outcome.notes,
        }

    def _workers(self) -> Sequence[OutputWorker]:
        return [] if self._daemon.outputs is None else self._daemon.outputs.workers

    # -- following ---------------------------------------------------------------------------------

    async def _follow(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        worker = choose(self._workers(), request.output)
        if worker is None:
            await _send(writer, {"error": f"there is no output {request.output or ''}".rstrip()})
            return
        follower = Subscriber(self._daemon.hub.loop, request.cats, request.pid)
        self._feed.add(follower, worker)
        try:
            position = await self._begun(follower, worker)
            if isinstance(position, str):
                await _send(writer, {"error": position})
                return
            answer = {"following": True, "output": worker.output.name, "position": position}
            await _send(writer, answer)
            feeding = asyncio.create_task(_feed(follower, writer))
            hung_up = asyncio.create_task(_wait_hung_up(reader))
            try:
                await asyncio.wait({feeding, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                hung_up.cancel()
                feeding.cancel()
                await asyncio.gather(feeding, hung_up, return_exceptions=True)
        finally:
            self._feed.remove(follower)

    async def _begun(self, follower: Subscriber, worker: OutputWorker) -> dict[str, Any] | str:
        """Let the follower begin between two writes; the log's position, or why it did not."""
        position: dict[str, Any] = {}

        def begin(worker: OutputWorker) -> None:
            if follower.ended is None:
                position.update(LogPlaces().position_of(worker.output))
                worker.watch(follower)

        problems = await ask_outputs([worker], begin)
        return problems[0] if problems else position


async def _feed(follower: Subscriber, writer: asyncio.StreamWriter) -> None:
    """Send what the follower gets, until its end."""
    writer.transport.set_write_buffer_limits(BUFFER_BYTES)
    while True:
        await follower.wait()
        while (part := follower.take()) is not None:
            writer.write(await asyncio.to_thread(encode, part))
            await writer.drain()
        if follower.ended is not None:
            await _send(writer, {"ended": follower.ended})
            return


async def _wait_hung_up(reader: asyncio.StreamReader) -> None:
    while await reader.read(MAX_REQUEST_BYTES):
        pass


async def _send(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    writer.write(_line(answer))
    await asyncio.wait_for(writer.drain(), ANSWER_S)


def _line(answer: dict[str, Any]) -> bytes:
    return msgspec.json.encode(answer) + b"\n"

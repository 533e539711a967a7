"""The connection to an engine of NATS servers: an event loop in a thread of its own.

Outputs and stores work in threads that may wait; the connection has to answer meanwhile. It goes to
any of the servers, in an order that is shuffled each time, and to another one whenever it is lost.
Nothing survives a lost connection: its users start over with each new one (`EngineLink.follow`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, Protocol, TypeVar

from nats.aio.client import Client
from nats.errors import Error as NatsError

from logd.engine.address import EngineAddress
from logd.engine.credentials import login_by
from logd.outputs.base import OutputUnavailable, OutputUnusable

logger = logging.getLogger(__name__)

T = TypeVar("T")

OLDEST_VERSION = (2, 12)
"""Earlier servers do not tell, or have no setting for, how safe what they acknowledge is."""

CONNECT_S = 3.0
ANSWER_S = 5.0
PING_S = 5
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 2.0

Durability = Literal["always", "lazy"]


class LinkWatcher(Protocol):
    """What is told of connections, in the loop."""

    async def connected(self, client: Client) -> None:
        """There is a new connection; nothing of an earlier one is left."""

    def disconnected(self) -> None:
        """The connection is lost."""


class EngineLink:
    """Keeps one connection. Methods may be called from any thread unless they say otherwise.

    Args:
        address: where the engine is.
        durability: "always" if only an engine will do that syncs before it acknowledges.

    Attributes:
        client: the connection; None while there is none. The loop's thread only.
        problem: why there is no connection, for people; "" if there is one.
        server: what it is connected to, for people.
    """

    def __init__(self, address: EngineAddress, durability: Durability) -> None:
        self._address = address
        self._durability = durability
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="logd-engine", daemon=True)
        self._changed = threading.Condition()
        self._followers: list[LinkWatcher] = []
        self._is_closing = False
        self._is_refused = False
        self._rounds = 0
        self._keeping: asyncio.Task[None] | None = None
        self.client: Client | None = None
        self.problem = "not connected yet"
        self.server = ""

    # -- any thread ------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, and stay connected from then on.

        Raises:
            OutputUnusable: the engine is refused, or refuses.
            OutputUnavailable: no server can be reached now; it goes on trying.
        """
        if self._thread.ident is None:
            self._thread.start()
        with self._changed:
            tried = self._rounds
            self._changed.wait_for(
                lambda: not self.problem or self._rounds > tried, CONNECT_S * 1.5
            )
            problem, is_refused = self.problem, self._is_refused
        if problem:
            text = f"engine {self._address.shown}: {problem}"
            raise OutputUnusable(text) if is_refused else OutputUnavailable(text)

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], timeout_s: float = ANSWER_S) -> T:
        """Do something in the loop and wait for it.

        Raises:
            OutputUnavailable: the engine is away, or does not answer in time.
        """
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work(), timeout_s), self._loop)
        try:
            return future.result()
        except (NatsError, OSError, TimeoutError) as exc:
            reason = self.problem or str(exc) or type(exc).__name__
            raise OutputUnavailable(f"engine {self._address.shown}: {reason}") from exc

    def post(self, callback: Callable[[], object]) -> None:
        """Call something in the loop, soon."""
        self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """End the connection and the thread; does nothing when closed."""
        if self._thread.ident is None or self._is_closing:
            return
        self._is_closing = True
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    # -- the loop's thread -------------------------------------------------------------------------

    def follow(self, follower: LinkWatcher) -> None:
        """Tell `follower` of each connection from the next one on; before `open` or in the loop."""
        self._followers.append(follower)

    def connected(self) -> Client:
        """The connection.

        Raises:
            OutputUnavailable: there is no connection.
        """
        if self.client is None:
            raise OutputUnavailable(f"engine {self._address.shown}: {self.problem}")
        return self.client

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._keeping = self._loop.create_task(self._keep_connected())
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _end(self) -> None:
        async def end() -> None:
            if self._keeping is not None:
                self._keeping.cancel()
                await asyncio.gather(self._keeping, return_exceptions=True)
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            self._loop.stop()

        self._ending = self._loop.create_task(end())

    def _note(self, problem: str, *, is_refused: bool = False) -> None:
        with self._changed:
            self.problem, self._is_refused = problem, is_refused
            self._changed.notify_all()

    async def _keep_connected(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            # What one server says must not hide what another one said.
            problems: list[str] = []
            for server in random.sample(self._address.servers, len(self._address.servers)):
                try:
                    was_connected = await self._serve(server)
                except OutputUnusable as exc:
                    self._note(str(exc), is_refused=True)
                    problems.clear()
                    break
                except (NatsError, OSError, TimeoutError, ValueError) as exc:
                    problems.append(f"{server}: {_reason(exc)}")
                except Exception as exc:
                    # A fault of ours or of the client library: it is told, and tried again.
                    logger.exception("the connection to %s failed", server)
                    problems.append(f"{server}: {_reason(exc)}")
                else:
                    pause_s = FIRST_PAUSE_S if was_connected else pause_s
            if problems:
                self._note("; ".join(problems))
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, MAX_PAUSE_S)

    async def _serve(self, server: str) -> bool:
        """Connect to a server, and return when that connection is lost."""
        client = Client()
        lost = asyncio.Event()
        last_error: list[Exception] = []

        async def on_closed() -> None:
            lost.set()

        async def on_error(exc: Exception) -> None:
            last_error.append(exc)

        try:
            await asyncio.wait_for(self._connect(client, server, on_closed, on_error), CONNECT_S)
            await self._check(client)
            self.client, self.server = client, server
            for follower in self._followers:
                await follower.connected(client)
            self._note("")
            await lost.wait()
        finally:
            self.client, self.server = None, ""
            for follower in self._followers:
                follower.disconnected()
            await _close(client)
        reason = _reason(last_error[-1]) if last_error else "it was closed"
        self._note(f"{server}: the connection was lost: {reason}")
        return True

    async def _connect(
        self,
        client: Client,
        server: str,
        on_closed: Callable[[], Coroutine[Any, Any, None]],
        on_error: Callable[[Exception], Coroutine[Any, Any, None]],
    ) -> None:
        address = self._address
        options: dict[str, Any] = {}
        if address.password is not None:
            options |= {"user": address.user, "password": address.password}
        elif address.user is not None:
            options["token"] = address.user
        if address.creds is not None:
            options |= login_by(address.creds)
        if address.tls:
            options["tls"] = _tls(address)
            options["tls_hostname"] = server.rpartition(":")[0].strip("[]")
        try:
            await client.connect(
                [f"{'tls' if address.tls else 'nats'}://{server}"],
                name="logd",
                allow_reconnect=False,
                connect_timeout=int(CONNECT_S),
                ping_interval=PING_S,
                max_outstanding_pings=2,
                closed_cb=on_closed,
                error_cb=on_error,
                **options,
            )
        except NatsError as exc:
            if "authorization" in str(exc).lower():
                raise OutputUnusable(f"{server} refuses the login") from exc
            raise

    async def _check(self, client: Client) -> None:
        """See that the engine can be relied on.

        Raises:
            OutputUnusable: it can't; the text says what to do.
        """
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST_VERSION:
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise OutputUnusable(
                f"nats-server {version.major}.{version.minor}.{version.patch} is too old: "
                f"{oldest} or later is needed"
            )
        if self._durability == "always":
            await asyncio.to_thread(check_durability, self._address.monitors)


async def _close(client: Client) -> None:
    """End a connection, whatever state it is in."""
    # One that never was connected can't be closed in order; nor can one that is broken.
    with contextlib.suppress(NatsError, OSError, TimeoutError, AssertionError):
        await asyncio.wait_for(client.close(), CONNECT_S)


def check_durability(monitors: Sequence[str]) -> None:
    """See that all servers that can be asked sync before they acknowledge.

    Raises:
        OutputUnusable: one does not, or none can be asked.
    """
    reasons: list[str] = []
    seen = 0
    for url in monitors:
        try:
            with urllib.request.urlopen(f"{url}/varz", timeout=CONNECT_S / 2) as answer:  # noqa: S310
                varz = json.loads(answer.read(1 << 20))
            config = varz["jetstream"]["config"]
        except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError) as exc:
            reasons.append(f"{url}: {_reason(exc)}")
            continue
        seen += 1
        if not config.get("sync_always"):
            raise OutputUnusable(
                f"the server at {url} acknowledges what it has not synced: set sync_interval: "
                "always in its jetstream block, or engine_durable = lazy to accept that a loss of "
                "power loses records"
            )
    if not seen:
        raise OutputUnusable(
            "can't see whether its servers sync what they acknowledge "
            f"({'; '.join(reasons)}): open their monitoring (http_port) to this machine and name "
            "it with the option monitor, or set engine_durable = lazy"
        )


def _tls(address: EngineAddress) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=address.tls_ca)
        if address.tls_cert is not None:
            context.load_cert_chain(address.tls_cert, address.tls_key)
    except (OSError, ssl.SSLError) as exc:
        files = ", ".join(filter(None, (address.tls_ca, address.tls_cert, address.tls_key)))
        raise OutputUnusable(f"TLS: can't use {files}: {_reason(exc)}") from exc
    return context


def _reason(exc: BaseException) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {exc.verify_message}"
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    text = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return str(text).removeprefix("nats: ").splitlines()[0]

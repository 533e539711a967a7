"""What the routes share: who is signed in, the workers, and how requests and answers are read."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from logd.query.controlclient import ControlClient
from logd.settings.controlpath import control_path, feed_path
from logd.settings.loading import InForce
from logd.settings.sources import Sources
from logd.web import settings
from logd.web.answers.ledger import Known
from logd.web.audit import Audit
from logd.web.sessions import Failures, User, WebSessions, cookie_name
from logd.web.tasks import Failed
from logd.web.users import Users
from logd.web.workers import Workers

MAX_BODY_BYTES = 65_536
MAX_REQUESTS = 8
"""Requests of one session that are worked on at a time; the live stream counts apart."""

MAX_STREAMS = 64
MAX_STREAMS_EACH = 16
"""Pages of one session that follow the log: one each tab that is seen."""

BODY_S = 10.0
CHECKED_AT_ONCE = 2
"""Passwords: checking one takes 32 MiB and a tenth of a second of a processor."""

STATUS_S = 2.0
STATUS_AGAIN_S = 1.0
READ_EVERY_S = 3.0
READ_PARTS = 5
MOST_BETWEEN_S = 30.0
"""What takes long, as in a flood, is done less often: the daemon has its rate to keep."""

KEEP_READING_S = 60.0
"""What is known of the whole log is kept up to date while somebody looks, and this much longer."""

logger = logging.getLogger(__name__)


class Web:
    """What the routes share: who is signed in, and the workers.

    Args:
        in_force: the settings.
        is_mounted: whether a site around it has a login of its own.
        port: that the page listens on; 0 if it is another's.
        show_link: told a fresh token, to be shown where only its owner sees it.
    """

    def __init__(
        self,
        in_force: InForce,
        *,
        is_mounted: bool,
        show_link: Callable[[str], None],
        port: int = 0,
    ) -> None:
        config = self.config = in_force.config
        self.is_mounted = is_mounted
        self.sessions = WebSessions()
        self.failures = Failures()
        self.users = Users(Path(config.web_users_file)) if config.web_users_file else None
        self.is_tls = config.web_tls_cert is not None or config.web_behind_proxy
        self.cookie = cookie_name(is_tls=self.is_tls, port=port)
        self.names = settings.host_names(config)
        self.folders = settings.views_folders(config)
        self._show_link = show_link
        self._busy: dict[str, int] = {}
        self.audit = Audit(config)
        self.checking = asyncio.Semaphore(CHECKED_AT_ONCE)
        self._streams: Counter[str] = Counter()
        self._status: asyncio.Future[dict[str, Any] | None] | None = None
        self._status_at = 0.0
        self._known: Known | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        sources = config.sources if config.sources is not None else Sources()
        told = settings.for_workers(sources)
        self.workers = Workers(told, config.web_workers, config.web_scan_s)

    # -- who asks ----------------------------------------------------------------------------

    def user(self, request: Request) -> User | None:
        """Who asks; None if nobody knows."""
        if self.is_mounted:
            return _user_of_site(request.scope.get("user"))
        header = self.config.web_auth_header
        if header is not None and settings.is_trusted_proxy(self.config, _neighbour(request)):
            name = request.headers.get(header, "")
            # With a file of users its roles and limits hold, and it names all who may look.
            known = User(name[:100], "editor") if self.users is None else self.users.named(name)
            if name and known is not None:
                return known
        return self.sessions.find(request.cookies.get(self.cookie, ""))

    @property
    def login_kind(self) -> str:
        """How one signs in: "site" (a site or proxy around the page does it), or here."""
        if self.users is not None and not self.is_mounted:
            return "password"
        return "site" if self.is_mounted or self.config.web_auth_header is not None else "token"

    def offer_link(self) -> None:
        """Show a link with a fresh token, if the last one works no more."""
        if self.login_kind == "token" and not self.sessions.has_token:
            self._show_link(self.sessions.new_token())

    def warm(self) -> None:
        """Somebody will look in a moment: have the processes there, and the log read."""
        self.workers.warm()
        self.known_soon()

    # -- what is known of all of the log -----------------------------------------------------

    def known_soon(self) -> Known | None:
        """What is known by now; None while the log is read for the first time.

        Asking keeps the reading up to date for a while.
        """
        self._asked_at = time.monotonic()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_on())
        return self._known

    async def _read_on(self) -> None:
        while time.monotonic() - self._asked_at < KEEP_READING_S:
            is_first, began = self._known is None, time.monotonic()
            try:
                answer = await self.workers.run("ledger", {})
            except Failed as exc:
                logger.debug("the log can't be read now: %s", exc)
            else:
                self._known = Known(**answer)
            took = 0.0 if is_first else time.monotonic() - began
            await asyncio.sleep(min(max(READ_EVERY_S, took * READ_PARTS), MOST_BETWEEN_S))

    async def close(self) -> None:
        """End the reading and the workers."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.workers.close()
        await asyncio.to_thread(self.audit.close)

    # -- work --------------------------------------------------------------------------------

    async def run(
        self, request: Request, task: str, extra: Mapping[str, list[str]] | None = None
    ) -> dict[str, Any]:
        """Do a task for a request; ends when its browser hangs up.

        Raises:
            Failed: see there.
        """
        user = self.user(request)
        if user is None:
            raise Failed(401, "signed_out", "sign in first")
        key = self._key(request, user)
        if self._busy.get(key, 0) >= MAX_REQUESTS:
            raise Failed(429, "too_many", f"over {MAX_REQUESTS} requests at once")
        parameters = parameters_of(request) | dict(extra or {})
        self.audit.tell(user, self.peer(request), task, parameters)
        self._busy[key] = self._busy.get(key, 0) + 1
        working = asyncio.ensure_future(self.workers.run(task, parameters, user.only))
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Failed(499, "gone", "the browser hung up")
            return working.result()
        finally:
            working.cancel()
            gone.cancel()
            await asyncio.gather(working, gone, return_exceptions=True)
            self._busy[key] -= 1
            if not self._busy[key]:
                del self._busy[key]

    def _key(self, request: Request, user: User) -> str:
        """What is counted together: requests of a session, or of a user whom others signed in."""
        cookie = request.cookies.get(self.cookie, "")
        return cookie if self.sessions.find(cookie) is not None else user.name

    def check_streams(self, request: Request, user: User) -> None:
        """See whether there is room for one more live stream.

        Raises:
            Failed: there are too many.
        """
        if self._streams[self._key(request, user)] >= MAX_STREAMS_EACH:
            raise Failed(429, "too_many", f"over {MAX_STREAMS_EACH} pages of yours follow the log")
        if self._streams.total() >= MAX_STREAMS:
            raise Failed(503, "too_many", f"over {MAX_STREAMS} pages follow the log")

    @contextmanager
    def streaming(self, request: Request, user: User) -> Iterator[None]:
        """Count a live stream for as long as it is open."""
        key = self._key(request, user)
        self._streams[key] += 1
        try:
            yield
        finally:
            self._streams[key] -= 1
            self._streams += Counter()  # forgets who has none

    def peer(self, request: Request) -> str:
        """The address that a request comes from: what trusted proxies say, if it came by them."""
        return settings.sender(
            self.config, _neighbour(request), request.headers.getlist("x-forwarded-for")
        )

    async def daemon_status(self) -> dict[str, Any] | None:
        """What the daemon says of itself; None if it does not answer. It is asked once a second."""
        now = time.monotonic()
        if self._status is None or now - self._status_at > STATUS_AGAIN_S:
            self._status_at = now
            self._status = asyncio.ensure_future(asyncio.to_thread(self._ask_status))
        return await asyncio.shield(self._status)

    def _ask_status(self) -> dict[str, Any] | None:
        paths = [
            path for path in (feed_path(self.config), control_path(self.config)) if path.exists()
        ]
        if not paths:
            return None
        try:
            with ControlClient(paths, timeout_s=STATUS_S) as client:
                return client.ask({"do": "status"})
        except Exception:  # whatever is wrong with it: the page says that it does not answer
            return None


def _user_of_site(user: object) -> User | None:
    """Who somebody is to the site around the page; None if that says that it does not know.

    A site without an authentication of ASGI says nothing: it has to keep strangers out itself.
    """
    if user is None:
        return User("site", "editor")
    if isinstance(user, User):
        return user
    if not getattr(user, "is_authenticated", True):
        return None
    for name in ("display_name", "username", "email"):
        found = getattr(user, name, None)
        if isinstance(found, str) and found:
            return User(found[:100], "editor")
    return User("site", "editor")


def _neighbour(request: Request) -> str:
    """The address at the other end of the connection; "" of a Unix socket."""
    return request.client.host if request.client is not None else ""


def parameters_of(request: Request) -> dict[str, list[str]]:
    """Name -> values of a request's parameters."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    return found


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries.

    Raises:
        Failed: it is none, too long, or too slow.
    """
    data = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                data += piece
                if len(data) > MAX_BODY_BYTES:
                    raise Failed(413, "too_long", f"a body of over {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        raise Failed(408, "too_slow", f"the body took over {BODY_S:g} s") from None
    try:
        found = json.loads(data)
    except ValueError as exc:
        raise Failed(400, "not_json", f"not JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise Failed(400, "not_json", "expected an object")
    return found


def json_response(answer: object, status: int = 200) -> Response:
    """An answer that nobody keeps."""
    # In ASCII: a record may hold a lone surrogate, which no encoding takes.
    data = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode("ascii")
    headers = {"cache-control": "no-store"}
    return Response(data, status, media_type="application/json", headers=headers)


def web_of(request: Request) -> Web:
    """What the routes share."""
    web: Web = request.app.state.web
    return web

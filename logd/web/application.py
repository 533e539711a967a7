"""The ASGI application: the routes, and who may ask what."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from logd.query.controlclient import ControlClient
from logd.settings.controlpath import control_path, feed_path
from logd.settings.loading import InForce, load
from logd.settings.sources import Sources
from logd.web import saved, settings
from logd.web.answers.groups import new_ones_first
from logd.web.answers.ledger import PENDING, Known
from logd.web.answers.wanted import moment
from logd.web.guard import Guard, error
from logd.web.live import stream
from logd.web.sessions import COOKIE, COOKIE_TLS, OWNER, SESSION_S, Failures, Sessions, User
from logd.web.tasks import Failed
from logd.web.users import Users
from logd.web.workers import Workers

STATIC_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
MAX_BODY_BYTES = 65_536
MAX_REQUESTS = 8
"""Requests of one session that are worked on at a time; the live stream counts apart."""

MAX_STREAMS = 64
STATUS_S = 2.0
READ_EVERY_S = 3.0
KEEP_READING_S = 60.0
"""What is known of the whole log is kept up to date while somebody looks, and so much longer."""

logger = logging.getLogger(__name__)

audit_logger = logging.getLogger("logd.web.audit")


class Web:
    """What the routes share: who is signed in, and the workers.

    Args:
        in_force: the settings.
        is_mounted: whether a site around it has a login of its own.
        show_link: told a fresh token, to be shown where only its owner sees it.
    """

    def __init__(
        self, in_force: InForce, *, is_mounted: bool, show_link: Callable[[str], None]
    ) -> None:
        config = self.config = in_force.config
        self.is_mounted = is_mounted
        self.sessions = Sessions()
        self.failures = Failures()
        self.users = Users(Path(config.web_users_file)) if config.web_users_file else None
        self.is_tls = config.web_tls_cert is not None or config.web_behind_proxy
        self.cookie = COOKIE_TLS if self.is_tls else COOKIE
        self.names = settings.host_names(config)
        self.folders = settings.views_folders(config)
        self._show_link = show_link
        self._busy: dict[str, int] = {}
        self.streams = 0
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
            return User(str(request.scope.get("user", "") or "site"), "editor")
        header = self.config.web_auth_header
        peer = request.client.host if request.client is not None else ""
        if header is not None and settings.is_trusted_proxy(self.config, peer):
            name = request.headers.get(header, "")
            if name:
                return User(name[:100], "editor")
        return self.sessions.find(request.cookies.get(self.cookie, ""))

    def offer_link(self) -> None:
        """Show a link with a fresh token, if the last one works no more."""
        if (
            self.users is None
            and self.config.web_auth_header is None
            and not self.sessions.has_token
        ):
            self._show_link(self.sessions.new_token())

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
            try:
                answer = await self.workers.run("ledger", {})
            except Failed as exc:
                logger.debug("the log can't be read now: %s", exc)
            else:
                self._known = Known(**answer)
            await asyncio.sleep(READ_EVERY_S)

    async def close(self) -> None:
        """End the reading and the workers."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.workers.close()

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
        key = request.cookies.get(self.cookie, user.name)
        if self._busy.get(key, 0) >= MAX_REQUESTS:
            raise Failed(429, "too_many", f"over {MAX_REQUESTS} requests at once")
        parameters = parameters_of(request) | dict(extra or {})
        if self.config.web_audit and task in ("view", "entry"):
            audit_logger.info(
                "%s looked for %s",
                user.name,
                _shown(parameters),
                extra={"web_user": user.name, "web_task": task},
            )
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

    async def daemon_status(self) -> dict[str, Any] | None:
        """What the daemon says of itself; None if it does not answer."""
        return await asyncio.to_thread(self._ask_status)

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


def parameters_of(request: Request) -> dict[str, list[str]]:
    """Name -> values of a request's parameters."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    return found


def _shown(parameters: Mapping[str, list[str]]) -> str:
    words = [f"{name}={value}" for name, values in parameters.items() for value in values]
    return " ".join(words)[:500] or "everything"


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> dict[str, Any]:
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_BODY_BYTES:
            raise Failed(413, "too_long", f"a body of over {MAX_BODY_BYTES} bytes")
    try:
        found = json.loads(data)
    except ValueError as exc:
        raise Failed(400, "not_json", f"not JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise Failed(400, "not_json", "expected an object")
    return found


def _json(answer: object, status: int = 200) -> Response:
    # In ASCII: a record may hold a lone surrogate, which no encoding takes.
    data = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode("ascii")
    headers = {"cache-control": "no-store"}
    return Response(data, status, media_type="application/json", headers=headers)


def _web(request: Request) -> Web:
    web: Web = request.app.state.web
    return web


# -- the page ----------------------------------------------------------------------------------


class Static:
    """The page's files, read once; their names carry what they hold, so browsers may keep them."""

    def __init__(self) -> None:
        folder = files("logd.web") / "static"
        found = {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}
        digest = hashlib.sha256(b"".join(found[name] for name in sorted(found))).hexdigest()[:12]
        self.digest = digest
        self.page = found.pop("index.html").replace(b"static/", f"static/{digest}/".encode())
        self.files = found

    def response(self, digest: str, name: str) -> Response:
        """One of the files; 404 for any other name."""
        data = self.files.get(name)
        if data is None:
            return error(404, "not_found", f"there is no {name[:80]!r}")
        kept = "public, max-age=31536000, immutable" if digest == self.digest else "no-cache"
        kind = STATIC_TYPES[Path(name).suffix]
        return Response(
            data, media_type=kind, headers={"cache-control": kept, "etag": f'"{self.digest}"'}
        )


async def _page(request: Request) -> Response:
    static: Static = request.app.state.static
    return Response(static.page, media_type="text/html", headers={"cache-control": "no-cache"})


async def _static(request: Request) -> Response:
    static: Static = request.app.state.static
    return static.response(request.path_params["digest"], request.path_params["name"])


async def _record_link(request: Request) -> Response:
    return RedirectResponse(f"../?at={request.path_params['cursor']}", 307)


async def _view_link(request: Request) -> Response:
    name = request.path_params["name"]
    for view in saved.listed(_web(request).folders):
        if view["name"] == name:
            return RedirectResponse(f"../{view['search']}", 307)
    return error(404, "no_view", f"there is no view {name[:80]!r}")


# -- signing in ----------------------------------------------------------------------------------


async def _session(request: Request) -> Response:
    web = _web(request)
    if request.method == "GET":
        web.offer_link()
        kind = "password" if web.users is not None else "token"
        return _json({"kind": kind, "signed_in": web.user(request) is not None})
    if request.method == "DELETE":
        web.sessions.end(request.cookies.get(web.cookie, ""))
        response = _json(None)
        response.delete_cookie(
            web.cookie, path="/", secure=web.is_tls, httponly=True, samesite="strict"
        )
        return response
    peer = request.client.host if request.client is not None else ""
    if web.failures.is_too_many(peer):
        return error(429, "too_many", "too many tries: wait a minute")
    body = await _body(request)
    user = await _signed_in(web, body)
    if user is None:
        web.failures.add(peer)
        web.offer_link()
        audit_logger.warning("a sign-in from %s was refused", peer)
        hint = "logd web shows a fresh link in its terminal." if web.users is None else ""
        return error(401, "refused", "that is not right, or works no more", hint)
    response = _json({"name": user.name, "role": user.role})
    response.set_cookie(
        web.cookie, web.sessions.begin(user), max_age=int(SESSION_S), path="/", secure=web.is_tls,
        httponly=True, samesite="strict",
    )  # fmt: skip
    return response


async def _signed_in(web: Web, body: Mapping[str, Any]) -> User | None:
    token, name, password = body.get("token"), body.get("user"), body.get("password")
    if web.users is not None:
        if isinstance(name, str) and isinstance(password, str):
            return await asyncio.to_thread(web.users.check, name, password[:1024])
        return None
    if isinstance(token, str) and web.sessions.take_token(token):
        return OWNER
    return None


# -- the API ---------------------------------------------------------------------------------------


def _task(name: str) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        extra = {"cursor": [request.path_params["cursor"]]} if request.path_params else None
        return _json(await _web(request).run(request, name, extra))

    return answer


async def _view(request: Request) -> Response:
    web = _web(request)
    answer = await web.run(request, "view")
    return _json(answer | _about_all(web, request, answer["from"], answer["to"]))


async def _known(request: Request) -> Response:
    web = _web(request)
    if web.user(request) is None:
        raise Failed(401, "signed_out", "sign in first")
    parameters = parameters_of(request)
    since = moment(parameters, "from", time.time()) or 0.0
    until = moment(parameters, "to", time.time()) or time.time()
    return _json(_about_all(web, request, since, until))


def _about_all(web: Web, request: Request, since: float, until: float) -> dict[str, Any]:
    """Marks, losses and the size of the whole log; whoever may see a part only sees none of it."""
    user = web.user(request)
    if user is not None and user.only:
        return PENDING | {"pending": False}
    known = web.known_soon()
    return PENDING if known is None else known.about(since, until)


async def _tracebacks(request: Request) -> Response:
    web = _web(request)
    answer = await web.run(request, "tracebacks")
    known = web.known_soon()
    found = answer["groups"]
    if known is not None:
        for group in found:
            known.judge(group)
        new_ones_first(found)
    why = next((group["why_unknown"] for group in found if group["why_unknown"]), "")
    answer["why_unknown"] = why and f"What is new is not known. {why}"
    return _json(answer | {"pending": known is None})


async def _group(request: Request) -> Response:
    web = _web(request)
    answer = await web.run(request, "group", {"cursor": [request.path_params["cursor"]]})
    known = web.known_soon()
    if known is not None and answer["group"] is not None:
        known.judge(answer["group"])
    return _json(answer | {"pending": known is None})


async def _about(request: Request) -> Response:
    web = _web(request)
    user = web.user(request)
    if user is None:
        raise Failed(401, "signed_out", "sign in first")
    try:
        answer = await web.run(request, "about")
    except Failed as exc:
        if exc.code != "no_log":
            raise
        answer = {"source": "", "first": None}
    answer |= {
        "user": user.name, "role": user.role, "host_names": web.names,
        "request_key": web.config.web_request_key, "source_link": web.config.web_source_link,
    }  # fmt: skip
    return _json(answer)


async def _status(request: Request) -> Response:
    web = _web(request)
    if web.user(request) is None:
        raise Failed(401, "signed_out", "sign in first")
    status = await web.daemon_status()
    if status is None:
        return error(503, "daemon_away", "the daemon does not answer", "What is kept can be read.")
    # Who sends is the operator's concern, not that of whoever may read.
    return _json(
        {key: value for key, value in status.items() if key not in ("connections", "peers")}
    )


async def _command(request: Request) -> Response:
    if _web(request).user(request) is None:
        raise Failed(401, "signed_out", "sign in first")
    return _json({"command": saved.command(parameters_of(request))})


async def _views(request: Request) -> Response:
    web = _web(request)
    user = web.user(request)
    if user is None:
        raise Failed(401, "signed_out", "sign in first")
    name = request.path_params.get("name")
    if name is None:
        return _json({"views": saved.listed(web.folders), "may_edit": user.may_edit})
    if not user.may_edit:
        raise Failed(403, "not_editor", "you may look, not save")
    try:
        if request.method == "PUT":
            search = (await _body(request)).get("search")
            if not isinstance(search, str):
                raise Failed(400, "bad_parameter", "search: expected a text")
            saved.save(web.folders[0], name, search)
        else:
            saved.delete(web.folders[0], name)
    except saved.ViewError as exc:
        raise Failed(409, "view", str(exc)) from exc
    return Response(status_code=204, headers={"cache-control": "no-store"})


async def _live(request: Request) -> Response:
    web = _web(request)
    user = web.user(request)
    if user is None:
        raise Failed(401, "signed_out", "sign in first")
    if web.streams >= MAX_STREAMS:
        raise Failed(503, "too_many", f"over {MAX_STREAMS} pages look live")
    parameters = parameters_of(request)
    place = request.headers.get("last-event-id") or (parameters.pop("place", [""])[-1])

    async def follow(of: Mapping[str, Any]) -> dict[str, Any]:
        return await web.workers.run("follow", of, user.only)

    async def is_there() -> bool:
        return await web.daemon_status() is not None

    async def events() -> AsyncIterator[str]:
        web.streams += 1
        try:
            async for text in stream(follow, parameters, place, is_there):
                yield text
        finally:
            web.streams -= 1

    headers = {
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "content-encoding": "identity",
    }
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


async def _failed(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Failed)  # noqa: S101 - registered for this class alone
    return error(exc.status if exc.status != 499 else 400, exc.code, str(exc), exc.hint)


async def _not_found(request: Request, exc: Exception) -> Response:
    return error(404, "not_found", f"there is no {request.url.path[:100]!r}")


def application(
    in_force: InForce, *, is_mounted: bool = False, show_link: Callable[[str], None] = print
) -> Starlette:
    """The application for these settings.

    Args:
        in_force: the settings.
        is_mounted: whether a site around it has a login and checks the Host.
        show_link: see `Web`.

    Raises:
        LogdError: settings can't be used.
    """
    web = Web(in_force, is_mounted=is_mounted, show_link=show_link)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await web.close()

    api = [
        Route("/about", _about),
        Route("/view", _view),
        Route("/known", _known),
        Route("/entries", _task("entries")),
        Route("/entry/{cursor}", _task("entry")),
        Route("/context/{cursor}", _task("context")),
        Route("/tracebacks", _tracebacks),
        Route("/group/{cursor}", _group),
        Route("/compare", _task("compare")),
        Route("/live", _live),
        Route("/status", _status),
        Route("/command", _command),
        Route("/views", _views),
        Route("/views/{name}", _views, methods=["PUT", "DELETE"]),
    ]
    config = in_force.config
    base = config.web_base_path.rstrip("/")
    routes = [
        Route("/", _page),
        Route("/static/{digest}/{name}", _static),
        Route("/r/{cursor}", _record_link),
        Route("/v/{name}", _view_link),
        Route("/session", _session, methods=["GET", "POST", "DELETE"]),
        Mount("/api/1", routes=api),
    ]
    app = Starlette(
        routes=[Mount(base, routes=routes)] if base else routes,
        middleware=[
            Middleware(Guard, hosts=None if is_mounted else config.web_hosts, is_tls=web.is_tls),
            Middleware(GZipMiddleware, minimum_size=2048, compresslevel=5),
        ],
        exception_handlers={Failed: _failed, 404: _not_found},
        lifespan=lifespan,
    )
    app.state.web = web
    app.state.static = Static()
    return app


def mounted_application() -> Starlette:
    """The application for a site of one's own, with the settings that LOGD_CONFIG names."""
    return application(load(Sources.of_process({})), is_mounted=True, show_link=lambda _: None)

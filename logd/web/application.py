"""The ASGI application: the paths, and what is done around each answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from logd.settings.loading import InForce, load
from logd.settings.sources import Sources
from logd.web import routes
from logd.web.guard import Guard, error
from logd.web.shared import Web
from logd.web.signin import session
from logd.web.staticfiles import Static, page, static_file
from logd.web.tasks import Failed


async def _failed(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Failed)  # noqa: S101 - registered for this class alone
    return error(exc.status if exc.status != 499 else 400, exc.code, str(exc), exc.hint)


async def _not_found(request: Request, exc: Exception) -> Response:
    return error(404, "not_found", f"there is no {request.url.path[:100]!r}")


def application(
    in_force: InForce,
    *,
    is_mounted: bool = False,
    port: int = 0,
    show_link: Callable[[str], None] = print,
) -> Starlette:
    """The application for these settings.

    Args:
        in_force: the settings.
        is_mounted: whether a site around it has a login and checks the Host.
        port: that the page listens on; 0 if it is another's.
        show_link: see `logd.web.shared.Web`.

    Raises:
        LogdError: settings can't be used.
    """
    web = Web(in_force, is_mounted=is_mounted, port=port, show_link=show_link)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await web.close()

    api = [
        Route("/about", routes.about),
        Route("/view", routes.view),
        Route("/known", routes.known),
        Route("/entries", routes.entries),
        Route("/entry/{cursor}", routes.entry),
        Route("/context/{cursor}", routes.task("context")),
        Route("/tracebacks", routes.tracebacks),
        Route("/group/{cursor}", routes.group),
        Route("/compare", routes.task("compare")),
        Route("/items", routes.task("items")),
        Route("/live", routes.live),
        Route("/status", routes.status),
        Route("/command", routes.command),
        Route("/views", routes.views),
        Route("/views/{name}", routes.views, methods=["PUT", "DELETE"]),
    ]
    config = in_force.config
    base = config.web_base_path.rstrip("/")
    paths = [
        Route("/", page),
        Route("/static/{digest}/{name}", static_file),
        Route("/r/{cursor}", routes.record_link),
        Route("/v/{name}", routes.view_link),
        Route("/session", session, methods=["GET", "POST", "DELETE"]),
        Mount("/api/1", routes=api),
    ]
    app = Starlette(
        routes=[Mount(base, routes=paths)] if base else paths,
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

"""The page in a site of a team's own, behind the login that the site has.

    from logd.web import behind

    site.mount("/logs", behind(who))    # FastAPI, Starlette; README.md has Django, too

`who` is asked for each request, and says who that is: what a framework checks for its own routes,
by dependencies (FastAPI), decorators and middleware (Django), it does not check for what it mounts.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from logd.web.application import mounted_application
from logd.web.sessions import User

MAX_NAME_CHARS = 100

Who = Callable[[HTTPConnection], User | str | Awaitable[User | str | None] | None]
"""Says who sends a request: a name, a `User` with a role and limits, or None for a stranger."""


class Stranger:
    """Somebody whom the site does not know, as authentications of ASGI say it."""

    is_authenticated = False


def behind(who: Who, app: ASGIApp | None = None) -> ASGIApp:
    """The page for those whom `who` knows; strangers see nothing of the log.

    Args:
        who: asked for each request; a function or a coroutine function.
        app: the page; None for that of the settings which LOGD_CONFIG names.

    Raises:
        LogdError: settings can't be used.
    """
    page = mounted_application() if app is None else app

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            found = who(HTTPConnection(scope))
            if inspect.isawaitable(found):
                found = await found
            # A name that is empty is nobody's.
            user = User(found[:MAX_NAME_CHARS], "editor") if isinstance(found, str) else found
            scope = {**scope, "user": user if user is not None and user.name else Stranger()}
        await page(scope, receive, send)

    return asked

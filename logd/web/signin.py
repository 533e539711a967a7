"""Signing in and out: a token of the terminal's link, or a user and a password."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from logd.web import audit
from logd.web.guard import error
from logd.web.sessions import OWNER, SESSION_S, User
from logd.web.shared import Web, body_of, json_response, web_of


async def session(request: Request) -> Response:
    """Says how to sign in, signs in, signs out."""
    web = web_of(request)
    if request.method == "GET":
        web.offer_link()
        return json_response({"kind": web.login_kind, "signed_in": web.user(request) is not None})
    if request.method == "DELETE":
        web.sessions.end(request.cookies.get(web.cookie, ""))
        response = json_response(None)
        response.delete_cookie(
            web.cookie, path="/", secure=web.is_tls, httponly=True, samesite="strict"
        )
        return response
    peer = web.peer(request)
    if not web.failures.begin(peer):
        return error(429, "too_many", "too many tries: wait a minute")
    body = await body_of(request)
    user = await _signed_in(web, body)
    if user is None:
        web.offer_link()
        audit.refused(peer)
        hint = "logd web shows a fresh link in its terminal." if web.users is None else ""
        return error(401, "refused", "that is not right, or works no more", hint)
    web.failures.succeeded(peer)
    web.warm()
    response = json_response({"name": user.name, "role": user.role})
    response.set_cookie(
        web.cookie, web.sessions.begin(user), max_age=int(SESSION_S), path="/", secure=web.is_tls,
        httponly=True, samesite="strict",
    )  # fmt: skip
    return response


async def _signed_in(web: Web, body: Mapping[str, Any]) -> User | None:
    token, name, password = body.get("token"), body.get("user"), body.get("password")
    if web.users is not None:
        if isinstance(name, str) and isinstance(password, str):
            async with web.checking:
                return await asyncio.to_thread(web.users.check, name, password[:1024])
        return None
    if isinstance(token, str) and web.sessions.take_token(token):
        return OWNER
    return None

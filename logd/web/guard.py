"""What each request has to pass, and the headers that each answer carries.

- The Host has to be one that this server has: else a page elsewhere could reach it by a name that
  it points here (DNS rebinding).
- What changes something, and all data, is for requests of the page itself: `Sec-Fetch-Site`.
- The answers forbid the browser whatever the page does not need. With Trusted Types and no policy
  no text can become HTML at all.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logd.settings.loopback import is_loopback

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

MAX_URL_CHARS = 16_384
RETRY_AFTER_S = 5
"""What answers that may be another one soon tell programs."""


def error(status: int, code: str, text: str, hint: str = "") -> JSONResponse:
    """An answer that says what is wrong, in the shape that all of them have."""
    headers = {"cache-control": "no-store"}
    if status in (429, 503):
        headers["retry-after"] = str(RETRY_AFTER_S)
    return JSONResponse({"error": {"code": code, "text": text, "hint": hint}}, status, headers)


def host_of(header: str) -> str | None:
    """The name in a Host header, without port, in small letters; None if it is not valid."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname


class Guard:
    """ASGI middleware, see the module.

    Args:
        app: what is guarded.
        hosts: names besides those of the loopback; None: any, as the site around it checks them.
        is_tls: whether the page is reached by https.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, *, is_tls: bool) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._is_tls = is_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let it pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if self._is_tls:
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MAX_URL_CHARS:
            return error(414, "too_long", f"the address has over {MAX_URL_CHARS} characters")
        host = host_of(headers.get("host", ""))
        if self._hosts is not None and (
            host is None or not (is_loopback(host) or host in self._hosts)
        ):
            return error(
                421,
                "wrong_host",
                f"this server is not {headers.get('host', '')[:100]!r}",
                "Its names are in the setting web_hosts.",
            )
        is_data = "/api/" in scope["path"] or scope["method"] not in ("GET", "HEAD")
        if is_data and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return error(403, "cross_site", "only the page itself may ask")
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc != headers.get("host"):
                return error(403, "cross_site", "only the page itself may ask")
            if headers.get("content-type", "").partition(";")[0] != "application/json":
                return error(415, "not_json", "expected a body of application/json")
        return None

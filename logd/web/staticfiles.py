"""The page and its files, as they lie in the package."""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from logd.web.bundle import bundled
from logd.web.guard import error
from logd.web.shared import web_of

FIRST = "main"
"""The module that the page begins with."""

STATIC_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Static:
    """The page's files, read once; their names carry what they hold, so browsers may keep them."""

    def __init__(self) -> None:
        folder = files("logd.web") / "static"
        found = {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}
        modules = {
            name.removesuffix(".js"): found.pop(name).decode()
            for name in list(found)
            if name.endswith(".js")
        }
        found[f"{FIRST}.js"] = bundled(modules, FIRST).encode()
        digest = hashlib.sha256(b"".join(found[name] for name in sorted(found))).hexdigest()[:12]
        self.digest = digest
        self.page = found.pop("index.html").replace(b"static/", f"static/{digest}/".encode())
        self.files = found
        self._packed = {name: gzip.compress(data, mtime=0) for name, data in found.items()}

    def response(self, digest: str, name: str, *, takes_gzip: bool) -> Response:
        """One of the files; 404 for any other name."""
        data = (self._packed if takes_gzip else self.files).get(name)
        if data is None:
            return error(404, "not_found", f"there is no {name[:80]!r}")
        kept = "public, max-age=31536000, immutable" if digest == self.digest else "no-cache"
        headers = {"cache-control": kept, "etag": f'"{self.digest}"', "vary": "accept-encoding"}
        if takes_gzip:
            headers["content-encoding"] = "gzip"
        return Response(data, media_type=STATIC_TYPES[Path(name).suffix], headers=headers)


async def page(request: Request) -> Response:
    """The page itself."""
    static: Static = request.app.state.static
    web = web_of(request)
    if web.user(request) is not None:
        web.warm()
    return Response(static.page, media_type="text/html", headers={"cache-control": "no-cache"})


async def static_file(request: Request) -> Response:
    """One of its files."""
    static: Static = request.app.state.static
    accepted = request.headers.get("accept-encoding", "")
    return static.response(
        request.path_params["digest"],
        request.path_params["name"],
        takes_gzip="gzip" in [word.partition(";")[0].strip() for word in accepted.split(",")],
    )

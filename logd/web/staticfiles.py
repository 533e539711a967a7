"""The page and its files, as they lie in the package."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from logd.web.guard import error

STATIC_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


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


async def page(request: Request) -> Response:
    """The page itself."""
    static: Static = request.app.state.static
    return Response(static.page, media_type="text/html", headers={"cache-control": "no-cache"})


async def static_file(request: Request) -> Response:
    """One of its files."""
    static: Static = request.app.state.static
    return static.response(request.path_params["digest"], request.path_params["name"])

"""The page in a site of one's own, behind its login."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import reserved_port
from tests.web.conftest import NOW
from tests.web.serving import WAIT_S, Page

SITE = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Mount
from logd.web import app

class ByCookie(AuthenticationBackend):
    async def authenticate(self, connection):
        name = connection.cookies.get("site")
        return (AuthCredentials(["authenticated"]), SimpleUser(name)) if name else None

login = [Middleware(AuthenticationMiddleware, backend=ByCookie())]
site = Starlette(routes=[Mount("/team/logs", app=app)], middleware=login)
uvicorn.run(site, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


@contextmanager
def site(story: Path, folder: Path) -> Iterator[Page]:
    """A site with a login that shows the story under a path."""
    settings = folder / "logd.toml"
    settings.write_text(f'file = "{story}"\nstate_dir = "{folder / "state"}"\n')
    environment = {name: v for name, v in os.environ.items() if not name.startswith("LOGD_")}
    with reserved_port() as port:
        process = subprocess.Popen(
            [sys.executable, "-c", SITE, str(port)],
            env=environment | {"LOGD_CONFIG": str(settings)},
            stderr=subprocess.PIPE,
            text=True,
        )
        page = Page(process, f"http://127.0.0.1:{port}/team/logs/")
        try:
            _await(page)
            yield page
        finally:
            process.terminate()
            _, said = process.communicate(timeout=WAIT_S)
            assert "Traceback" not in said, said


def _await(page: Page) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            page.get("/")
        except ConnectionError:
            assert page.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_the_login_of_the_site_counts(story: Path, tmp_path: Path) -> None:
    """Whom the site knows may look; strangers see the page, and nothing of the log."""
    with site(story, tmp_path) as page:
        assert page.get("/team/logs").headers["location"].endswith("/team/logs/")
        shown = page.get("/team/logs/")
        assert shown.status == 200
        assert "trusted-types" in shown.headers["content-security-policy"]
        assert page.get("/team/logs/api/1/about").status == 401
        assert page.get("/team/logs/api/1/live").status == 401
        assert page.get("/team/logs/session").json == {"kind": "site", "signed_in": False}
        page.cookie = "site=ann"
        about = page.get("/team/logs/api/1/about").json
        assert (about["user"], about["role"]) == ("ann", "editor")
        view = page.get(f"/team/logs/api/1/view?from={int(NOW - 9000)}&to={int(NOW)}").json
        assert view["total"] > 1000
        assert page.get("/team/logs/r/x").headers["location"] == "../?at=x"
        crossed = page.get("/team/logs/api/1/about", {"sec-fetch-site": "cross-site"})
        assert crossed.status == 403

"""The page in a site of one's own, behind its login."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


FASTAPI = """
import sys
import uvicorn

async def team_member(session):
    return {{"of-ann": "ann", "of-bo": User("bo", "viewer", ("logger:shop.tasks",))}}.get(session)

from logd.web import User
{readme}

@site.get("/")
def home():
    return "the site itself"

uvicorn.run(site, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""

DJANGO = """
import os
import sys
from pathlib import Path
import django.conf
import uvicorn

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
django.conf.settings.configure(
    SECRET_KEY="of a test", ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", USE_TZ=True,
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/site.db"}}}},
    INSTALLED_APPS=[f"django.contrib.{{name}}" for name in ("auth", "contenttypes", "sessions")],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware"],
    LOGGING_CONFIG=None,
)
django.setup()
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path

call_command("migrate", verbosity=0)
for name, is_staff in (("ann", True), ("bo", False)):
    User.objects.create(username=name, is_staff=is_staff)

def sign_in(request, name):
    login(request, User.objects.get(username=name))
    return HttpResponse("signed in")

urlpatterns = [path("login/<name>", sign_in)]
{readme}
uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def readme(word: str) -> str:
    """The example in the README with a word in it."""
    text = (Path(__file__).parents[2] / "logd" / "web" / "README.md").read_text()
    (found,) = [
        code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if word in code
    ]
    return str(found)


@contextmanager
def site(
    story: Path, folder: Path, program: str = SITE, path: str = "/team/logs/"
) -> Iterator[Page]:
    """A site with a login that shows the story under a path."""
    settings = folder / "logd.toml"
    settings.write_text(f'file = "{story}"\nstate_dir = "{folder / "state"}"\n')
    environment = {name: v for name, v in os.environ.items() if not name.startswith("LOGD_")}
    with reserved_port() as port:
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(port)],
            env=environment | {"LOGD_CONFIG": str(settings)},
            stderr=subprocess.PIPE,
            text=True,
        )
        page = Page(process, f"http://127.0.0.1:{port}{path}")
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


def test_in_a_site_of_fastapi(story: Path, tmp_path: Path) -> None:
    """As the README says it: whom the function names may look, with the limits that it gives."""
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install logd[servers]")
    program = FASTAPI.format(readme=readme("fastapi"))
    with site(story, tmp_path, program, "/logs/") as page:
        assert page.get("/").json == "the site itself"
        assert page.get("/logs/").status == 200
        for cookie in ("", "session=", "session=of-eve"):
            page.cookie = cookie
            assert page.get("/logs/api/1/about").status == 401
        page.cookie = "session=of-ann"
        assert page.get("/logs/api/1/about").json["user"] == "ann"
        page.cookie = "session=of-bo"
        about = page.get("/logs/api/1/about").json
        assert (about["user"], about["role"]) == ("bo", "viewer")
        asked = f"from={int(NOW - 9000)}&to={int(NOW)}&facets=logger"
        facet = page.get(f"/logs/api/1/view?{asked}").json["facets"][0]
        assert [name for name, _ in facet["values"]] == ["shop.tasks"]


def test_in_a_site_of_django(story: Path, tmp_path: Path) -> None:
    """As the README says it: staff may look, whoever else is signed in may not."""
    pytest.importorskip("django", reason="django is not installed: pip install logd[servers]")
    program = DJANGO.format(readme=readme("django"), folder=tmp_path)
    with site(story, tmp_path, program, "/logs/") as page:
        assert page.get("/logs/api/1/about").status == 401
        for name, status in (("ann", 200), ("bo", 401)):
            page.cookie = ""
            answer = page.get(f"/login/{name}")
            assert answer.body == b"signed in"
            page.cookie = answer.headers["set-cookie"].partition(";")[0]
            about = page.get("/logs/api/1/about")
            assert about.status == status
            assert status != 200 or about.json["user"] == "ann"

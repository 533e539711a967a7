"""The server as a process: signing in, the API's answers, the stream of new records."""

from __future__ import annotations

import gzip
import json
import logging
import logging.handlers
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from logd.web.shared import MAX_STREAMS_EACH
from tests.daemon_process import running
from tests.query.log_making import record, records, write_log
from tests.web.conftest import NOW
from tests.web.serving import WAIT_S, Page, serving

STORY = f"from={int(NOW - 9000)}&to={int(NOW)}"


def test_a_link_signs_in_once(story: Path) -> None:
    """A token becomes a session, and is worth nothing then; a fresh link is shown when asked."""
    with serving(story, signs_in=False) as page:
        assert page.get("/api/1/about").status == 401
        assert page.get("/").status == 200
        first = page.sign_in()
        assert first.status == 200
        cookie = first.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert page.get("/api/1/about").status == 200
        stranger = Page(page.process, page.link)
        assert stranger.sign_in().status == 401
        fresh = page.next_link()
        assert Page(page.process, fresh).sign_in().status == 200
        assert page.ask("DELETE", "/session", {}).status == 200
        assert page.get("/api/1/about").status == 401


def test_many_tries_have_to_wait(story: Path) -> None:
    """After five wrong tokens in a minute the right one has to wait, too."""
    with serving(story, signs_in=False) as page:
        statuses = [page.ask("POST", "/session", {"token": "x"}).status for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        assert page.sign_in().status == 429


def test_beyond_this_machine_it_needs_tls_and_a_login(tmp_path: Path) -> None:
    """It refuses to start where strangers could look, and says in one line what is missing."""
    for options, missing in (
        ([], "web_tls_cert"),
        (["--web-behind-proxy"], "web_users_file"),
        (["--web-auth-header", "X-User"], "web_trusted_proxies"),
    ):
        run = subprocess.run(
            [sys.executable, "-m", "logd", "web", "--web", "0.0.0.0:0",
             "--file", str(tmp_path / "x_%d.log"), *options],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert run.returncode != 0
        assert missing in run.stderr
        assert len(run.stderr.strip().splitlines()) == 1


def test_users_have_names_roles_and_limits(story: Path, tmp_path: Path) -> None:
    """A user signs in with a password, sees what the role allows, and no more."""
    users = tmp_path / "users.toml"
    for name, options in (("ann", ["--role", "editor"]), ("bo", ["--only", "logger:shop.tasks"])):
        subprocess.run(
            [sys.executable, "-m", "logd", "web", "user", "add", name,
             "--web-users-file", str(users), *options],
            input=f"secret-of-{name}\n" * 2, text=True, check=True, timeout=60,
            capture_output=True,
        )  # fmt: skip
    assert "secret" not in users.read_text()
    with serving(story, "--web-users-file", str(users), signs_in=False) as page:
        wrong = page.ask("POST", "/session", {"user": "ann", "password": "secret-of-bo"})
        assert wrong.status == 401
        totals = {}
        for name in ("ann", "bo"):
            page.cookie = ""
            answer = page.ask("POST", "/session", {"user": name, "password": f"secret-of-{name}"})
            assert answer.status == 200
            page.cookie = answer.headers["set-cookie"].partition(";")[0]
            view = page.get(f"/api/1/view?{STORY}&facets=logger").json
            totals[name] = view["total"]
            saves = page.ask("PUT", "/api/1/views/mine", {"search": "?f=cat:E"}).status
            assert saves == (204 if name == "ann" else 403)
        assert 0 < totals["bo"] < totals["ann"]
        # What bo may not see, bo can't open by a link either.
        page.cookie = ""
        answer = page.ask("POST", "/session", {"user": "ann", "password": "secret-of-ann"})
        page.cookie = answer.headers["set-cookie"].partition(";")[0]
        error = page.get(f"/api/1/entries?{STORY}&f=exc:KeyError&limit=1").json["entries"][0]
        page.cookie = ""
        answer = page.ask("POST", "/session", {"user": "bo", "password": "secret-of-bo"})
        page.cookie = answer.headers["set-cookie"].partition(";")[0]
        assert page.get(f"/api/1/entry/{error['at']}").status == 404
        assert page.get(f"/api/1/group/{error['at']}").status == 404
        # What is new since when is of the part that bo does not see.
        groups = page.get(f"/api/1/tracebacks?{STORY}").json
        assert groups["groups"]
        assert not any(group["new_since"] for group in groups["groups"])
        assert not groups["pending"]
        assert page.get(f"/api/1/known?{STORY}").json["marks"] == []
        # Nor by asking for more of what the limit is about.
        asked = f"/api/1/view?{STORY}&facets=logger"
        for more in ("", "&f=logger:shop.checkout", "&q=logger:shop.checkout"):
            view = page.get(asked + more).json
            assert view["total"] == (0 if more else totals["bo"])
            names = [name for name, _ in view["facets"][0]["values"]]
            assert names == ["shop.tasks"]


def test_a_trusted_proxy_says_who_somebody_is(story: Path, tmp_path: Path) -> None:
    """A user whom a proxy names has the role and the limits that the file of users says."""
    users = tmp_path / "users.toml"
    users.write_text('[bo]\npassword = "scrypt:x"\nonly = ["logger:shop.tasks"]\n')
    proxy = ["--web-auth-header", "X-User", "--web-trusted-proxies", "127.0.0.0/8"]
    with serving(story, *proxy, signs_in=False) as page:
        assert page.get("/api/1/about").status == 401
        about = page.get("/api/1/about", {"x-user": "ann"}).json
        assert (about["user"], about["role"]) == ("ann", "editor")
        assert page.get("/session").json["kind"] == "site"
    with serving(story, *proxy, "--web-users-file", str(users), signs_in=False) as page:
        assert page.get("/api/1/about", {"x-user": "ann"}).status == 401
        assert page.get("/api/1/about", {"x-user": "bo"}).json["role"] == "viewer"
        seen = page.get(f"/api/1/view?{STORY}&facets=logger", {"x-user": "bo"}).json["facets"]
        assert [name for name, _ in seen[0]["values"]] == ["shop.tasks"]
    stranger = ["--web-auth-header", "X-User", "--web-trusted-proxies", "10.0.0.0/8"]
    with serving(story, *stranger, signs_in=False) as page:
        assert page.get("/api/1/about", {"x-user": "ann"}).status == 401


def test_searches_are_in_the_log(tmp_path: Path) -> None:
    """With web_audit the daemon logs, too, who looked for what."""
    pattern = tmp_path / "x_%d.log"
    options = ["--file", pattern, "--state-dir", tmp_path / "state"]
    with running(*options, folder=tmp_path) as daemon:
        send(daemon.port, 1, 1)
        with serving(pattern, "--web-audit", "--port", str(daemon.port)) as page:
            assert page.get("/api/1/entries?q=vat").status == 200
            search = "/api/1/entries?f=logger:logd.web.audit"
            deadline = time.monotonic() + WAIT_S
            while not (found := page.get(search).json["entries"]):
                assert time.monotonic() < deadline
                time.sleep(0.1)
    assert "token looked from 127.0.0.1 for q=vat" in found[0]["head"]
    assert found[0]["items"]["web_user"] == "token"


def test_searches_are_told(story: Path) -> None:
    """With web_audit each search is told once: who, from where, for what."""
    with serving(story, "--web-audit") as page:
        for path in ("view?q=vat", "entries?q=vat", "items?q=vat", "entries?q=secret", "live?q=it"):
            if path.startswith("live"):
                with page.live("?q=it") as events:
                    next(events)
            else:
                assert page.get(f"/api/1/{path}").status == 200
        assert page.process.stderr is not None
        told: list[str] = []
        while not any("q=it" in line for line in told):
            told += [line for line in [page.process.stderr.readline()] if "looked" in line]
    assert len(told) == 3
    assert all("token looked from 127.0.0.1 for q=" in line for line in told)


def test_what_is_new_since_the_deploy(page: Page) -> None:
    """The question of the page: which errors are new since 2.14.0, and for which users?"""
    groups = until(lambda: page.get(f"/api/1/tracebacks?{STORY}").json)["groups"]
    new = {group["type"]: group for group in groups if group["new_since"]}
    assert set(new) == {"KeyError", "TimeoutError"}
    assert {g["new_since"]["version"] for g in new.values()} == {"2.14.0"}
    assert [group["type"] for group in groups[:2]] == sorted(
        new, key=lambda name: -new[name]["count"]
    )
    assert new["KeyError"]["users"] <= 10
    assert len(new["KeyError"]["user_names"]) == 3
    different = page.get(f"/api/1/compare?from={int(NOW - 6420)}&to={int(NOW - 4500)}").json["rows"]
    assert "KeyError" in [row["value"] for row in different if row["before"] == 0]


def test_items_are_facets(page: Page) -> None:
    """Items that tell kinds of records are counted: for which users; ids are not."""
    search = f"{STORY}&f=exc:KeyError"
    total = page.get(f"/api/1/view?{search}").json["total"]
    answer = page.get(f"/api/1/items?{search}&top=50").json
    facets = {facet["field"]: dict(facet["values"]) for facet in answer["facets"]}
    assert "request_id" not in facets
    assert sum(facets["user"].values()) == total == answer["records"]
    assert "bo" not in facets["user"]
    # A facet shows what else there is to choose.
    chosen = page.get(f"/api/1/items?{search}&f=user:ann&top=50").json
    (users,) = [facet for facet in chosen["facets"] if facet["field"] == "user"]
    assert dict(users["values"]) == facets["user"]
    assert sum(facets["pid"].values()) == total
    assert not answer["partial"]


def test_what_was_found_can_be_kept(page: Page) -> None:
    """All that a search finds comes as lines of the log, or as JSON."""
    search = f"{STORY}&f=exc:KeyError"
    total = page.get(f"/api/1/view?{search}").json["total"]
    text = page.get(f"/api/1/entries?{search}&as=text")
    assert text.headers["content-disposition"] == 'attachment; filename="records.log"'
    assert text.body.decode().count("checkout failed") == total
    lines = page.get(f"/api/1/entries?{search}&as=jsonl").body.splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == total
    assert all("KeyError" in one["msg"] for one in found)
    assert found == sorted(found, key=lambda one: one["time"])
    assert page.get(f"/api/1/entries?{search}&as=xml").status == 400


def test_what_is_rare_is_found_in_parts(tmp_path: Path) -> None:
    """A search that takes long answers with what it has, and says where to go on."""
    pattern = tmp_path / "x_%d.log"
    rare = [record(1, msg="the needle"), record(2, msg="another needle")]
    write_log(pattern, [*rare, *records(3, 500, msg="x" * 10_000)])
    with serving(pattern, "--web-scan-s", "0.001") as page:
        found, before, parts = [], "", 0
        while True:
            part = page.get(f"/api/1/entries?q=needle{before}").json
            found = [entry["head"] for entry in part["entries"]] + found
            parts += 1
            if not part["partial"]:
                break
            before = f"&before={part['next']}"
        assert parts > 2
        assert found == ["the needle", "another needle"]
        assert not part["more_before"]


def test_a_record_and_its_context(page: Page) -> None:
    """A record opens with its traceback in parts, its group, and its request around it."""
    listed = page.get(f"/api/1/entries?{STORY}&f=exc:KeyError&limit=3").json["entries"]
    opened = page.get(f"/api/1/entry/{listed[-1]['at']}").json
    kinds = [part["kind"] for part in opened["parts"]]
    assert kinds == ["text", "frames", "exception"]
    frames = opened["parts"][1]["frames"]
    assert [frame["own"] for frame in frames] == [False, False, True, True]
    assert (frames[-1]["line"], frames[-1]["func"]) == (64, "build_invoice")
    assert opened["parts"][2]["text"] == "KeyError: 'vat_id'"
    answer = until(lambda: page.get(f"/api/1/group/{listed[-1]['at']}").json)
    assert answer["group"]["new_since"]["version"] == answer["version"] == "2.14.0"
    around = f"from={listed[-1]['time'] - 3600}&to={listed[-1]['time'] + 3600}"
    same = page.get(f"/api/1/view?{around}&f=exc:KeyError").json["total"]
    assert answer["group"]["count"] == same > 50
    context = page.get(f"/api/1/context/{listed[-1]['at']}?scope=request").json["entries"]
    assert len({entry["items"]["request_id"] for entry in context}) == 1
    assert len(context) == 2


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("view?from=abc", 400, "bad_parameter"),
        ("view?from=20&to=10", 400, "bad_parameter"),
        ("view?q=/(/", 400, "bad_selection"),
        ("view?buckets=0", 400, "bad_parameter"),
        ("entries?limit=100000", 400, "bad_parameter"),
        ("entries?before=nonsense", 404, "no_record"),
        ("entry/nonsense", 404, "no_record"),
        ("nowhere", 404, "not_found"),
    ],
)
def test_errors_say_what_is_wrong(page: Page, path: str, status: int, code: str) -> None:
    """Each error has a code for programs and a text for people."""
    answer = page.get(f"/api/1/{path}")
    assert answer.status == status
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["text"]


def test_an_explosive_expression_ends(tmp_path: Path) -> None:
    """A regular expression that explodes is ended with its process; the next search works."""
    pattern = tmp_path / "x_%d.log"
    write_log(pattern, [record(1, msg="a" * 60)])
    with serving(pattern, "--web-scan-s", "0.2", "--web-workers", "1") as page:
        assert page.get("/api/1/view").status == 200
        slow = page.get(f"/api/1/view?{urlencode({'q': '/(a+)+$b/'})}")
        assert (slow.status, slow.json["error"]["code"]) == (503, "too_slow")
        assert int(slow.headers["retry-after"]) > 0
        assert page.get("/api/1/view").status == 200


def test_new_records_come_once_through_restarts(tmp_path: Path) -> None:
    """The stream goes on where it was: through a kill of the daemon and a cut connection."""
    pattern = tmp_path / "x_%d.log"
    options = ["--file", pattern, "--state-dir", tmp_path / "state"]
    seen: list[str] = []
    with running(*options, folder=tmp_path) as daemon, serving(pattern) as page:
        with page.live("?place=0") as events:
            assert next(events)[2]["name"] == "live"
            send(daemon.port, 1, 5)
            last = read(events, seen, 5)
        send(daemon.port, 6, 10)
        daemon.process.kill()
        daemon.process.wait(WAIT_S)
        with page.live(last=last) as events:
            # A server may need a moment to notice it.
            assert any(event[2].get("name") == "away" for event in events)
            with running(*options, folder=tmp_path) as again:
                send(again.port, 11, 15)
                # What the kernel still held of 6 to 10 went with the daemon that was killed.
                while "record 15" not in seen:
                    last = read(events, seen, 1)
    assert seen[:5] == [f"record {n}" for n in range(1, 6)]
    assert seen[-5:] == [f"record {n}" for n in range(11, 16)]
    assert len(seen) == len(set(seen))


def test_streams_are_bounded(page: Page) -> None:
    """One session follows the log in some tabs, not in hundreds."""
    with ExitStack() as stack:
        for _ in range(MAX_STREAMS_EACH):
            next(stack.enter_context(page.live()))
        assert page.get("/api/1/live").status == 429
    deadline = time.monotonic() + WAIT_S
    while page.get("/api/1/about").status == 200:
        # Those that were closed are noticed.
        try:
            with page.live() as events:
                next(events)
                break
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        (
            b"GET /api/1/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: "
            b"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n"
        ),
        b"GET /static/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /static/x/..%2f..%2fREADME.md HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //evil.example/%2e%2e HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_garbage_is_refused(page: Page, data: bytes) -> None:
    """What is no request of a browser gets an error in one line, and the log nothing of it."""
    with socket.create_connection((page.host, page.port), timeout=WAIT_S) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    assert re.match(rb"HTTP/1.1 4\d\d ", answer), answer[:200]
    assert b"location:" not in answer.lower()
    assert page.get("/api/1/about").status == 200


def test_a_ring_that_came_round(tmp_path: Path) -> None:
    """A link to a record that was overwritten says so, and what is the oldest that is left."""
    pattern = tmp_path / "x_%d.log"
    write_log(pattern, records(1, 20), lines=10, count=2)
    with serving(pattern) as page:
        first = page.get("/api/1/entries?first=1&limit=1").json["entries"][0]
        assert page.get(f"/api/1/entry/{first['at']}").status == 200
        write_log(pattern, records(21, 45), lines=10, count=2)
        gone = page.get(f"/api/1/entry/{first['at']}")
        assert (gone.status, gone.json["error"]["code"]) == (410, "gone")
        assert "begins" in gone.json["error"]["hint"]


def test_saved_views_are_words_of_the_terminal(page: Page, story: Path) -> None:
    """A view that the page saves is one that `logd query --view` shows."""
    search = f"?q=&f=exc%3AKeyError&from={int(NOW - 9000)}&to={int(NOW)}"
    assert page.ask("PUT", "/api/1/views/vat", {"search": search}).status == 204
    views = page.get("/api/1/views").json["views"]
    assert "vat" in [view["name"] for view in views]
    assert "vat_id" not in page.get("/v/vat").headers["location"]
    assert "KeyError" in page.get("/v/vat").headers["location"]
    # What a view looks for is told to those who may look.
    stranger = Page(page.process, page.link).get("/v/vat")
    assert (stranger.status, stranger.headers["location"]) == (307, "../#v=vat")
    total = page.get(f"/api/1/view?{STORY}&f=exc:KeyError").json["total"]
    shown = subprocess.run(
        [sys.executable, "-m", "logd", "query", "--view",
         str(story.parent / "state" / "web" / "views" / "vat.toml"), "--count",
         "--file", str(story)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert int(shown.stdout.replace(",", "").split()[-1]) == total
    assert page.ask("PUT", "/api/1/views/..%2Fx", {"search": ""}).status in (404, 409)
    assert page.ask("DELETE", "/api/1/views/vat", {}).status == 204


def until(ask: Callable[[], Any]) -> Any:
    """The first answer that is not given while the log is still read."""
    deadline = time.monotonic() + WAIT_S
    while (answer := ask())["pending"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def read(events: object, seen: list[str], count: int) -> str:
    """Read so many records; the last id."""
    last, wanted = "", len(seen) + count
    for name, identity, data in events:  # type: ignore[attr-defined]
        if name == "message":
            seen += [entry["head"] for entry in data]
            last = identity
            if len(seen) >= wanted:
                return last
    raise AssertionError(json.dumps(seen))


def send(port: int, first: int, last: int) -> None:
    """Send records as apps do."""
    handler = logging.handlers.SocketHandler("127.0.0.1", port)
    try:
        for number in range(first, last + 1):
            handler.emit(logging.makeLogRecord({"msg": f"record {number}", "levelno": 20}))
    finally:
        handler.close()


def test_the_page_is_three_files(page: Page) -> None:
    """The page, its style and one script, packed for browsers that take that: under 40 KiB."""
    text = page.get("/").body.decode()
    names = re.findall(r'(?:src|href)="(static/[0-9a-f]+/\w+\.(?:js|css))"', text)
    assert len(names) == 2
    size = len(text)
    for name in names:
        plain = page.get(f"/{name}")
        assert "content-encoding" not in plain.headers
        packed = page.get(f"/{name}", headers={"accept-encoding": "br, gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        size += len(packed.body)
        assert not re.search(rb"^(import|export) ", plain.body, re.MULTILINE)
    assert size < 40 << 10
    assert page.get(f"/{names[0].rpartition('/')[0]}/list.js").status == 404

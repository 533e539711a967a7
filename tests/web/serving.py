"""A `logd web` process and requests to it, for the tests."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 60.0


@dataclass
class Answer:
    """One answer; `json` fails for what is none."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Page:
    """A running server, and somebody who may be signed in."""

    def __init__(self, process: subprocess.Popen[str], link: str) -> None:
        self.process = process
        self.link = link
        parts = urlsplit(link)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port
        self.token = parts.fragment.removeprefix("t=")
        self.cookie = ""

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=WAIT_S)
        try:
            data = None if body is None else json.dumps(body)
            all_headers = {"content-type": "application/json"} if body is not None else {}
            if self.cookie:
                all_headers["cookie"] = self.cookie
            connection.request(method, path, data, all_headers | dict(headers or {}))
            response = connection.getresponse()
            answer_headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, answer_headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("GET", path, headers=headers)

    def sign_in(self) -> Answer:
        """Exchange the link's token for a session."""
        answer = self.ask("POST", "/session", {"token": self.token})
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    @property
    def digest(self) -> str:
        found = re.search(rb"static/([0-9a-f]+)/", self.get("/").body)
        assert found is not None
        return found[1].decode()

    def next_link(self) -> str:
        """The next link that the terminal shows."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(r"http://\S+", line)
            if found is not None:
                return found[0]
        raise AssertionError("the server ended")

    @contextmanager
    def live(self, query: str = "", last: str = "") -> Iterator[Iterator[tuple[str, str, Any]]]:
        """The live stream as (event, id, data)."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=WAIT_S)
        headers = {"cookie": self.cookie}
        if last:
            headers["last-event-id"] = last
        connection.request("GET", f"/api/1/live{query}", headers=headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        try:
            yield _events(response)
        finally:
            # The response holds the socket: closed at once, so that the server notices.
            response.close()
            connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[str, str, Any]]:
    name, identity, data = "message", "", ""
    for raw in response:
        line = raw.decode().rstrip("\n")
        if not line:
            if data:
                yield name, identity, json.loads(data)
            name, identity, data = "message", "", ""
        elif line.startswith("event: "):
            name = line[7:]
        elif line.startswith("id: "):
            identity = line[4:]
        elif line.startswith("data: "):
            data = line[6:]


@contextmanager
def serving(pattern: Path, *options: str, signs_in: bool = True, port: int = 0) -> Iterator[Page]:
    """A server for a log of text files, on a free port if none is given."""
    command = [
        sys.executable, "-m", "logd", "web", "--web", f"127.0.0.1:{port}", "--file", str(pattern),
        "--state-dir", str(pattern.parent / "state"),
        # On a busy machine, too, an answer is whole.
        "--web-scan-s", "60", *options,
    ]  # fmt: skip
    environment = {name: v for name, v in os.environ.items() if not name.startswith("LOGD_")}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        page = Page(process, "http://127.0.0.1:1/")
        page = Page(process, page.next_link())
        if signs_in and page.token:
            assert page.sign_in().status == 200
        yield page
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=WAIT_S)
        finally:
            process.kill()

"""Records reach a real HTTP server as JSON."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from logd.daemon.plugins import load_callables
from logd.observers import Webhook
from logd.observers.delivery import DeliveryLost

TIMEOUT_S = 60.0


class Receiver(ThreadingHTTPServer):
    """Keeps the requests it got and answers them as told, with 204 by default."""

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        self.answers = []
        self.changed = threading.Condition()
        scheme = "http"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def handle_error(self, request, client_address):
        """Failed handshakes are what some tests are about."""

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, TIMEOUT_S)
        return self.requests

    def stop(self):
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.changed:
            answers = self.server.answers
            status, headers = answers.pop(0) if answers else (204, {})
            self.server.requests.append((self.path, self.headers, json.loads(body)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.server.changed.notify_all()

    def log_message(self, format, *args):  # noqa: A002 - the name of the base class
        """Keep quiet."""


@pytest.fixture
def receiver():
    """A receiver on a free port."""
    server = Receiver()
    yield server
    server.stop()


@pytest.fixture
def make_webhook():
    """Makes webhooks without pauses and closes them at the end."""
    webhooks = []

    def make(url, *args, **changes):
        defaults = {"interval_s": 0.0, "backoff_s": 0.001, "timeout_s": 5.0}
        webhooks.append(Webhook(url, *args, **{**defaults, **changes}))
        return webhooks[-1]

    yield make
    for webhook in webhooks:
        webhook.close(TIMEOUT_S)


def test_post(receiver, make_webhook, make_job):
    """Records arrive in order as JSON objects with all fields."""
    webhook = make_webhook(receiver.url + "/hook?a=1", headers={"X-Team": "shop"})
    for number in range(250):
        webhook([make_job(f"message {number} \udc80", msgid=number)], None)
    assert webhook.close(TIMEOUT_S)
    records = [record for _, _, body in receiver.requests for record in body["records"]]
    assert [record["msgid"] for record in records] == list(range(250))
    assert records[7]["msg"] == "message 7 \udc80"
    path, headers, body = receiver.requests[0]
    assert path == "/hook?a=1"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Team"] == "shop"
    assert body["lost"] == 0
    assert webhook.queue.delivered == 250
    assert len(receiver.requests) < 250


def test_selection(receiver, make_webhook, make_job):
    """Only the wanted records are posted."""
    webhook = make_webhook(receiver.url, ["E"], "^pay")
    for cat, msg in (("E", "pay 1"), ("W", "pay 2"), ("E", "other")):
        webhook([make_job(msg, cat=cat)], None)
    assert webhook.close(TIMEOUT_S)
    assert [r["msg"] for _, _, body in receiver.requests for r in body["records"]] == ["pay 1"]


def test_text_key(receiver, make_webhook, make_job):
    """With a text key the body is what chat services take."""
    webhook = make_webhook(receiver.url, text_key="text", interval_s=60.0)
    for text in ("first", 'sec"ond\n2', "third"):
        webhook([make_job(text)], None)
    assert webhook.close(TIMEOUT_S)
    lines = "\n".join(body["text"] for _, _, body in receiver.requests)
    assert lines == 'E first\nE sec"ond\n2\nE third'


def test_record_as_it_was(receiver, make_webhook, make_job):
    """What a later observer does to the record is not posted."""
    webhook = make_webhook(receiver.url)
    job = make_job("before")
    webhook([job], None)
    job.msg = "after"
    assert webhook.close(TIMEOUT_S)
    assert receiver.requests[0][2]["records"][0]["msg"] == "before"


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_tries_again(receiver, make_webhook, make_job, status):
    """After a passing failure the same body comes again under the same key."""
    receiver.answers = [(status, {}), (status, {"Retry-After": "0"})]
    webhook = make_webhook(receiver.url)
    webhook([make_job("a")], None)
    receiver.wait_for(3)
    webhook([make_job("a")], None)
    *same, other = receiver.wait_for(4)
    assert len({headers["Idempotency-Key"] for _, headers, _ in same}) == 1
    assert other[1]["Idempotency-Key"] != same[0][1]["Idempotency-Key"]
    assert same[0][2] == same[2][2]
    assert webhook.close(TIMEOUT_S)
    assert (webhook.queue.delivered, webhook.queue.lost) == (2, 0)


@pytest.mark.parametrize("status", [400, 401, 404, 301])
def test_refused(receiver, make_webhook, make_job, status):
    """Other answers lose the records at once; redirects are not followed."""
    receiver.answers = [(status, {"Location": receiver.url + "/elsewhere"})]
    webhook = make_webhook(receiver.url)
    webhook([make_job("a")], None)
    receiver.wait_for(1)
    while webhook.queue.lost == 0:
        threading.Event().wait(0.001)
    with pytest.raises(DeliveryLost, match=f"status {status}"):
        webhook([make_job("b")], None)
    assert webhook.close(TIMEOUT_S)
    assert [path for path, _, _ in receiver.requests] == ["/", "/"]
    assert receiver.requests[1][2]["lost"] == 1


def test_retry_after(receiver, make_webhook, make_job):
    """The receiver's wish to be left alone is honoured, except at the end."""
    receiver.answers = [(429, {"Retry-After": "299"})]
    webhook = make_webhook(receiver.url)
    webhook([make_job("a")], None)
    receiver.wait_for(1)
    while not webhook.queue._failures:
        threading.Event().wait(0.001)
    assert webhook.queue._not_before - webhook.queue._clock() > 200
    assert webhook.close(TIMEOUT_S)
    assert len(receiver.requests) == 2


def test_comes_back(make_webhook, make_job):
    """Records wait while nobody listens, and are posted once somebody does."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        webhook = make_webhook(
            f"http://127.0.0.1:{reserved.getsockname()[1]}", tries=10_000, backoff_s=0.001
        )
        webhook([make_job("patient")], None)
        while not webhook.queue._failures:
            threading.Event().wait(0.001)
        port = reserved.getsockname()[1]
    server = ThreadingHTTPServer.__new__(Receiver)
    ThreadingHTTPServer.__init__(server, ("127.0.0.1", port), Handler)
    server.requests, server.answers, server.changed = [], [], threading.Condition()
    server._thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    server._thread.start()
    try:
        assert server.wait_for(1)[0][2]["records"][0]["msg"] == "patient"
    finally:
        server.stop()


def test_authorization(receiver, make_webhook, make_job, tmp_path):
    """A token comes from a file, a name and password from the address."""
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    by_token = make_webhook(receiver.url, token_file=str(token))
    by_name = make_webhook(receiver.url.replace("//", "//ann:p%40ss@"))
    for webhook in (by_token, by_name):
        webhook([make_job()], None)
        assert webhook.close(TIMEOUT_S)
    first, second = (headers["Authorization"] for _, headers, _ in receiver.requests)
    assert first == "Bearer s3cret"
    assert base64.b64decode(second.removeprefix("Basic ")) == b"ann:p@ss"
    assert "ann" not in by_name.queue.name


def test_secret_address(receiver, make_webhook, make_job, tmp_path):
    """An address that is a secret comes from a file."""
    file = tmp_path / "url"
    file.write_text(receiver.url + "/s3cret\n")
    webhook = make_webhook("", url_file=str(file))
    webhook([make_job()], None)
    assert webhook.close(TIMEOUT_S)
    assert receiver.requests[0][0] == "/s3cret"
    assert "s3cret" not in webhook.queue.name


def test_tls(make_webhook, make_job, tmp_path, caplog):
    """A receiver by https is verified: known ones get the records, others do not."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    server = Receiver(context)
    try:
        known = make_webhook(server.url, ca_file=str(ca_file))
        known([make_job("safe")], None)
        assert known.close(TIMEOUT_S)
        unknown = make_webhook(server.url, tries=1)
        unknown([make_job("unsafe")], None)
        assert not unknown.close(TIMEOUT_S)
    finally:
        server.stop()
    assert [body["records"][0]["msg"] for _, _, body in server.requests] == ["safe"]
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


def test_slow_receiver_does_not_hold_up_the_end(make_webhook, make_job):
    """A receiver that accepts and never answers costs the closing time and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = make_webhook(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
        webhook([make_job()], None)
        assert not webhook.close(0.5)
    assert webhook.queue.lost == 1


def test_in_settings(receiver, make_job):
    """A webhook is made from settings."""
    (webhook,) = load_callables([f"logd.observers:Webhook?url={receiver.url}/x&cats=E,W&tries=2"])
    webhook([make_job("a")], None)
    assert webhook.close(TIMEOUT_S)
    assert receiver.requests[0][0] == "/x"


def test_errors(tmp_path):
    """Addresses and files that can't be used are refused at once."""
    for url in ("ftp://example.org", "example.org", "http://"):
        with pytest.raises(ValueError, match="url"):
            Webhook(url)
    with pytest.raises(ValueError, match="ca_file"):
        Webhook("http://example.org", ca_file="/x")
    empty = tmp_path / "token"
    empty.write_text("\n")
    with pytest.raises(ValueError, match="first line should hold the token"):
        Webhook("http://example.org", token_file=str(empty))
    for arguments in ({}, {"url": "http://example.org", "url_file": str(empty)}):
        with pytest.raises(ValueError, match="either url or url_file"):
            Webhook(**arguments)
    with pytest.raises(FileNotFoundError):
        Webhook("http://example.org", token_file=str(tmp_path / "absent"))

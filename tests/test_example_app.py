"""An app in the reference's style runs for real: server and client as processes of their own.

The server has rotating tables with a column of its own, filters, observers and a mail digest. Only
the imports differ from what an app written for the reference would look like.
"""

from __future__ import annotations

import email
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

SERVER = """
import sys
from logd import {module}
from logd.observers.mailnotifier import CatRule, SMTPMailer, mailnotifier, stop_all
from logd.dbwriter_sa import DBConfig, createRotatingServer

url, port, mail_server, seen = sys.argv[1:]

def hide_cards(jobhist, writer):
    job = jobhist[-1]
    job.msg = job.msg.replace("4111", "****")

def without_debug(jobhist, writer):
    if jobhist[-1].cat == "D":
        jobhist[-1].drop()

def count(jobhist, writer):
    job = jobhist[-1]
    with open(seen, "a") as file:
        file.write(f"{{len(jobhist)}} {{job.cat}} {{job.msg}} {{job.cfn()}}\\n")

mailer = SMTPMailer(mail_server, None, "ops@example.org", "shop@example.org", subject="Shop")
server = createRotatingServer(
    url, rotateCount=3, rotateLineMin=10, tableNamePattern="log_%d", tsFormat="std1",
    filters=[hide_cards, without_debug],
    observers=[count, mailnotifier(mailer, [CatRule(["E"], max_delay_secs=3600)])],
    cols=DBConfig.COLS_DEFAULT + (("customer", DBConfig.Integer),),
)
{module}.startServer(server, host="127.0.0.1", ports=(int(port),))
stop_all()
"""

CLIENT = """
import sys
from logd_client.{module} import createClientLog

log = createClientLog("127.0.0.1", ports=(int(sys.argv[1]),))
log.set_sticked_items({{"customer": 7}})
for number in range(25):
    log(f"order {{number}} paid with 4111")
    log("not worth keeping", "D")
log("out of stock", "E", special={{"customer": 8}})
assert getattr(log, "flush", lambda timeout: True)(60)
"""


class Mailbox(Message):
    """Keeps the texts of the mails."""

    def __init__(self):
        super().__init__(email.message.Message)
        self.texts = []

    def handle_message(self, message):
        self.texts.append((message["Subject"], message.get_payload(decode=True).decode()))


class FreePortController(Controller):
    """Listens on a free port, which the base class can't find out by itself."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mail_server():
    """A real SMTP server."""
    controller = FreePortController(Mailbox(), hostname="127.0.0.1", port=0)
    controller.start()
    yield controller
    controller.stop()


def wait_for_listener(port, process):
    """Return once something listens on `port`."""
    for _ in range(6_000):
        assert process.poll() is None, process.stderr.read()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.01)
    raise AssertionError("the server did not start")


@pytest.mark.parametrize(
    ("server_module", "client_module"), [("socketserver", "socketclient"), ("xmlrpc", "xmlrpc")]
)
def test_app(server_module, client_module, mail_server, tmp_path, free_port):
    """What the client logs is filtered, stands in the rotated tables, was observed and mailed."""
    port = free_port()
    database, seen = tmp_path / "log.db", tmp_path / "seen"
    server = subprocess.Popen(
        [
            *(sys.executable, "-c", SERVER.format(module=server_module)),
            *(f"sqlite:///{database}", str(port), f"127.0.0.1:{mail_server.port}", str(seen)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        try:
            wait_for_listener(port, server)
            subprocess.run(
                [sys.executable, "-c", CLIENT.format(module=client_module), str(port)],
                check=True,
                timeout=60,
            )
            server.send_signal(signal.SIGTERM)
            _, errors = server.communicate(timeout=60)
        finally:
            server.kill()
    assert (server.returncode, errors) == (0, "")
    with closing(sqlite3.connect(database)) as connection:
        rows = [
            connection.execute(
                f"select msg, customer, cfunc from log_{n} order by msgid"
            ).fetchall()
            for n in range(3)
        ]
    assert [len(table) for table in rows] == [10, 10, 6]
    texts = [f"order {number} paid with ****" for number in range(25)]
    assert [row for table in rows for row in table] == [
        *((text, 7, "<module>") for text in texts),
        ("out of stock", 8, "<module>"),
    ]
    lines = seen.read_text().splitlines()
    assert lines == [
        *(
            f"{number} {cat} {text} <string>"
            for number, (cat, text) in enumerate(
                [*(("", text) for text in texts), ("E", "out of stock")], 1
            )
        ),
    ]
    ((subject, text),) = mail_server.handler.texts
    assert subject == "Shop"
    assert "out of stock" in text
    assert "customer=8" in text
    assert "order" not in text

"""Records and real mail servers for the tests of contrib."""

from __future__ import annotations

import email
import email.message
import email.policy
import ssl
import threading
from dataclasses import dataclass

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import AuthResult


class Mailbox(Message):
    """Keeps the mails that a server has taken, and tells when one comes.

    Attributes:
        mails: parsed, with the addresses of the envelope in X-MailFrom and X-RcptTo.
        refusals: answers to give instead of taking the next mails.
        refused_addresses: recipients that do not exist.
        logins: (user, password) of each login tried.
    """

    def __init__(self) -> None:
        super().__init__(email.message.EmailMessage)
        self.mails: list[email.message.EmailMessage] = []
        self.refusals: list[str] = []
        self.refused_addresses: set[str] = set()
        self.logins: list[tuple[str, str]] = []
        self.encrypted: list[bool] = []
        self.changed = threading.Condition()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused_addresses:
            return "550 5.1.1 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.encrypted.append(
            session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None
        )
        if self.refusals:
            with self.changed:
                answer = self.refusals.pop(0)
                self.changed.notify_all()
            return answer
        return await super().handle_DATA(server, session, envelope)

    def prepare_message(self, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        message["X-MailFrom"] = envelope.mail_from
        message["X-RcptTo"] = ", ".join(envelope.rcpt_tos)
        return message

    def handle_message(self, message):
        with self.changed:
            self.mails.append(message)
            self.changed.notify_all()

    def authenticate(self, server, session, envelope, mechanism, auth_data):
        login = (auth_data.login.decode(), auth_data.password.decode())
        self.logins.append(login)
        return AuthResult(success=login == ("ann", "s3cret"), handled=False)

    def wait_for(self, count):
        """The mails, once there are `count` of them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.mails) >= count, 60.0)
        return self.mails


class FreePortController(Controller):
    """Listens on a free port, which the base class can't find out by itself."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass
class MailServer:
    """A real SMTP server with its mailbox."""

    mailbox: Mailbox
    host: str
    port: int
    ca_file: str

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A certificate authority and its certificate's file."""
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return ca, str(file)


@pytest.fixture
def make_mail_server(authority):
    """Starts SMTP servers: `kind` is "plain", "starttls" or "ssl", `login` demands one."""
    ca, ca_file = authority
    controllers = []

    def make(kind="plain", *, login=False, name="127.0.0.1"):
        mailbox = Mailbox()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name).configure_cert(context)
        settings = {"authenticator": mailbox.authenticate, "auth_required": login}
        if kind == "starttls":
            settings.update(tls_context=context, require_starttls=True)
        else:
            settings["auth_require_tls"] = False
        controller = FreePortController(
            mailbox,
            hostname="127.0.0.1",
            port=0,
            ready_timeout=60,
            ssl_context=context if kind == "ssl" else None,
            **settings,
        )
        controller.start()
        controllers.append(controller)
        return MailServer(mailbox, "127.0.0.1", controller.port, ca_file)

    yield make
    for controller in controllers:
        controller.stop()

"""Mails reach real SMTP servers, encrypted where they must be."""

from __future__ import annotations

import socket

import pytest

from logd.observers.mailnotifier import SMTPMailer
from logd.observers.smtp import MailFailed, MailRefused


def text_of(mail):
    """The text of a mail as it was sent; on its way lines end with CR LF."""
    return mail.get_content().replace("\r\n", "\n")


pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture
def make_mailer():
    """Makes mailers for a server."""

    def make(server, password=None, **changes):
        to = changes.pop("to_address", "ops@example.org")
        changes.setdefault("ca_file", server.ca_file)
        return SMTPMailer(server.address, password, to, "app@example.org", timeout_s=60, **changes)

    return make


def test_plain(make_mail_server, make_mailer):
    """A mail arrives with its headers and text, whatever characters are in it."""
    server = make_mail_server()
    text = "first\nzweite Zeile: äöü €\n" + "x" * 5_000 + "\n.\nlone \udc80, nul \0\n"
    mailer = make_mailer(server, to_address=["ops@example.org", "Ann <ann@example.org>"])
    mailer.send(text)
    (mail,) = server.mailbox.mails
    assert mail["From"] == "app@example.org"
    assert mail["To"] == "ops@example.org, ann@example.org"
    assert mail["X-RcptTo"] == "ops@example.org, ann@example.org"
    assert mail["X-MailFrom"] == "app@example.org"
    assert mail["Subject"] == "Log Digest"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"]
    assert mail["Message-ID"].endswith("@example.org>")
    assert text_of(mail) == text.replace("\udc80", "\\udc80").replace("\0", "\\x00")


def test_charset(make_mail_server, make_mailer):
    """In another charset what it lacks is escaped."""
    server = make_mail_server()
    make_mailer(server, charset="iso-8859-1").send("ä €\n")
    (mail,) = server.mailbox.mails
    assert mail.get_content_charset() == "iso-8859-1"
    assert text_of(mail) == "ä \\u20ac\n"


def test_subject_adds_no_header(make_mail_server, make_mailer):
    """A line break in the subject begins no other header."""
    server = make_mail_server()
    make_mailer(server, subject="Digest\r\nBcc: eve@example.org").send("x")
    (mail,) = server.mailbox.mails
    assert mail["Subject"] == "Digest Bcc: eve@example.org"
    assert mail["Bcc"] is None


@pytest.mark.parametrize(
    ("kind", "security"), [("starttls", "starttls"), ("ssl", "ssl"), ("plain", "none")]
)
def test_login(make_mail_server, make_mailer, kind, security):
    """Over STARTTLS, from the beginning encrypted, or in clear where told so, a login is made."""
    server = make_mail_server(kind, login=True)
    make_mailer(server, "s3cret", loginuser="ann", security=security).send("x")
    assert server.mailbox.logins == [("ann", "s3cret")]
    assert server.mailbox.encrypted == [kind != "plain"]
    assert len(server.mailbox.mails) == 1


def test_login_name(make_mail_server, make_mailer):
    """Without a login name the sender's address is it; a wrong login is refused for good."""
    server = make_mail_server("starttls", login=True)
    with pytest.raises(MailRefused, match="535"):
        make_mailer(server, "s3cret", security="starttls").send("x")
    assert server.mailbox.logins[0] == ("app@example.org", "s3cret")
    assert not server.mailbox.mails


def test_starttls_is_insisted_on(make_mail_server, make_mailer):
    """A server that does not offer the STARTTLS asked for gets no mail and no password."""
    server = make_mail_server("plain", login=True)
    with pytest.raises(MailRefused, match="STARTTLS"):
        make_mailer(server, "s3cret", loginuser="ann", security="starttls").send("x")
    assert not server.mailbox.logins


@pytest.mark.parametrize(("kind", "security"), [("starttls", "starttls"), ("ssl", "ssl")])
def test_certificates_are_verified(make_mail_server, make_mailer, kind, security):
    """A server of another name, or signed by nobody known, gets no mail."""
    other_name = make_mail_server(kind, name="mail.example.org")
    with pytest.raises(MailRefused, match=r"127\.0\.0\.1"):
        make_mailer(other_name, security=security).send("x")
    unknown = make_mail_server(kind)
    with pytest.raises(MailRefused, match="unable to get local issuer"):
        make_mailer(unknown, security=security, ca_file=None).send("x")
    assert not other_name.mailbox.mails
    assert not unknown.mailbox.mails


@pytest.fixture
def far_away(monkeypatch):
    """Makes servers of this machine look like those of another one."""
    monkeypatch.setattr("logd.observers.smtp.is_loopback", lambda host: False)


def test_auto_near(make_mail_server, make_mailer):
    """By default a server on this machine is talked to in clear, with a password too."""
    server = make_mail_server("plain", login=True)
    make_mailer(server, "s3cret", loginuser="ann").send("x")
    assert server.mailbox.encrypted == [False]


@pytest.mark.usefixtures("far_away")
def test_auto_far(make_mail_server, make_mailer):
    """By default STARTTLS is used where offered, and no password leaves in clear."""
    offering = make_mail_server("starttls", login=True)
    make_mailer(offering, "s3cret", loginuser="ann").send("x")
    assert offering.mailbox.encrypted == [True]
    plain = make_mail_server("plain")
    make_mailer(plain).send("without a password")
    assert plain.mailbox.encrypted == [False]
    with pytest.raises(MailRefused, match="not sent in clear"):
        make_mailer(plain, "s3cret").send("x")
    assert not plain.mailbox.logins


def test_refused_recipients(make_mail_server, make_mailer):
    """An address that does not exist is told; the others have the mail, and not twice."""
    server = make_mail_server()
    server.mailbox.refused_addresses = {"gone@example.org"}
    with pytest.raises(MailRefused, match=r"gone@example\.org: 550 5\.1\.1 nobody"):
        make_mailer(server, to_address="gone@example.org, ops@example.org").send("x")
    assert [mail["X-RcptTo"] for mail in server.mailbox.mails] == ["ops@example.org"]
    with pytest.raises(MailRefused, match="550"):
        make_mailer(server, to_address="gone@example.org").send("x")


@pytest.mark.parametrize(
    ("answer", "error"), [("451 try later", MailFailed), ("554 spam", MailRefused)]
)
def test_refused_mails(make_mail_server, make_mailer, answer, error):
    """Answers from 500 on are final, those below ask to try again."""
    server = make_mail_server()
    server.mailbox.refusals = [answer]
    with pytest.raises(error, match=answer):
        make_mailer(server).send("x")
    make_mailer(server).send("x")
    assert len(server.mailbox.mails) == 1


def test_no_server(make_mailer):
    """A server that does not answer, hangs up or is silent may be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        mailer = SMTPMailer(address, None, "a@example.org", "b@example.org", timeout_s=0.1)
        with pytest.raises(MailFailed, match=rf"mail server {address}: .*timed out"):
            mailer.send("x")
    with pytest.raises(MailFailed, match="refused"):
        mailer.send("x")


@pytest.mark.parametrize(
    ("server", "changes", "host", "port"),
    [
        ("mail.example.org", {}, "mail.example.org", 25),
        ("mail.example.org", {"security": "starttls"}, "mail.example.org", 587),
        ("mail.example.org", {"security": "ssl"}, "mail.example.org", 465),
        ("mail.example.org:2525", {"security": "ssl"}, "mail.example.org", 2525),
        ("mail.example.org:2525", {"port": 26}, "mail.example.org", 26),
        ("[::1]:2525", {}, "::1", 2525),
        ("::1", {}, "::1", 25),
        ("[::1]", {}, "::1", 25),
    ],
)
def test_addresses(server, changes, host, port):
    """The port is given, or the usual one for the way of encryption."""
    mailer = SMTPMailer(server, None, "a@example.org", "b@example.org", **changes)
    assert (mailer._host, mailer._port) == (host, port)


def test_port_465_means_ssl():
    """On port 465 the connection is encrypted from the beginning by default."""
    assert SMTPMailer("m:465", None, "a@x.org", "b@x.org")._security == "ssl"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"security": "tls"}, "'tls'"),
        ({"charset": "klingon"}, "charset"),
        ({"to_address": "nobody"}, "'nobody'"),
        ({"to_address": []}, "at least one"),
        ({"from_address": "a@x\r\nBcc: eve"}, "mail address"),
        ({"server": "mail:smtp"}, "'mail:smtp'"),
    ],
)
def test_errors(changes, part):
    """What can't work is refused when the mailer is made."""
    arguments = {
        "server": "mail", "serverpw": None, "to_address": "a@x.org", "from_address": "b@x.org",
    }  # fmt: skip
    with pytest.raises(ValueError, match=part):
        SMTPMailer(**{**arguments, **changes})

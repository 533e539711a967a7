"""Sends mails through an SMTP server, encrypted where anybody could listen."""

from __future__ import annotations

import email.message
import email.policy
import email.utils
import smtplib
import ssl
from collections.abc import Sequence
from typing import Literal, Protocol

from logd.errors import LogdError
from logd.settings.loopback import is_loopback

__all__ = ["MailFailed", "MailRefused", "Mailer", "SMTPMailer", "Security"]

Security = Literal["auto", "starttls", "ssl", "none"]

_PORTS = {"auto": 25, "starttls": 587, "ssl": 465, "none": 25}
_PERMANENT = 500  # SMTP replies from here on say that trying again is useless


class MailFailed(LogdError):
    """The mail could not be sent now, but may be later."""


class MailRefused(LogdError):
    """The mail can't be sent as things are: wrong password, unknown address, no encryption."""


class Mailer(Protocol):
    """What `mailnotifier` sends its mails by."""

    def send(self, text: str) -> None:
        """Send one mail with this text; returns once the server has taken it.

        Raises:
            MailRefused: trying again is useless. Any other exception means try again.
        """


class SMTPMailer:
    """Sends each text as a mail of its own, over a connection of its own.

    Args:
        server: host, or "host:port" ("[::1]:25" for IPv6).
        serverpw: password for the login; None or "" for a server that wants none.
        to_address: the recipients; several in a sequence, or in a str with commas.
        from_address: the sender.
        subject: of each mail.
        loginuser: user for the login; None: the from_address. Without a password there is no login.
        charset: of the text; characters that it lacks are escaped with backslashes.
        port: None: that of `server`, else what is usual for `security`: 587, 465 or 25.
        security: "starttls": the connection is encrypted before anything is said, or no mail is
            sent; "ssl": it is from the beginning; "none": it never is; "auto": ssl on port 465,
            else STARTTLS if the server offers it, except for a server on this machine, and a
            password is never sent to another machine in clear.
        ca_file: certificates in PEM format that sign the server's; None: those of the system. The
            server's certificate is always verified.
        timeout_s: for each step of the talk with the server.

    Raises:
        ValueError: no such port, security or charset; addresses that are none.
        OSError: ca_file can't be read.
    """

    def __init__(
        self,
        server: str,
        serverpw: str | None,
        to_address: str | Sequence[str],
        from_address: str,
        subject: str = "Log Digest",
        loginuser: str | None = None,
        charset: str = "utf-8",
        *,
        port: int | None = None,
        security: Security = "auto",
        ca_file: str | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        if security not in _PORTS:
            raise ValueError(f"security: expected one of {', '.join(_PORTS)}, got {security!r}")
        self._host, given_port = _split_server(server)
        self._port = port or given_port or _PORTS[security]
        self._security = "ssl" if security == "auto" and self._port == 465 else security
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._password = serverpw or None
        self._user = loginuser or from_address
        to = [to_address] if isinstance(to_address, str) else to_address
        self._to = [address for _, address in email.utils.getaddresses(list(to))]
        for address in (*self._to, from_address):
            if "@" not in address or not address.isprintable():
                raise ValueError(f"expected a mail address, got {address!r}")
        if not self._to:
            raise ValueError("to_address: expected at least one address, got none")
        self._from = from_address
        self._subject = " ".join(subject.split())  # a line break would begin another header
        self._charset = charset
        self._timeout_s = timeout_s
        self._message("")  # refuses a charset that does not exist, now and not in the night

    def send(self, text: str) -> None:
        """Send one mail; returns once the server has taken it for all recipients.

        Raises:
            MailFailed: the server could not be reached, or asks to try again.
            MailRefused: it said that it will not take this mail, or encryption is not to be had.
        """
        message = self._message(text)
        try:
            with self._connect() as connection:
                if self._password is not None:
                    connection.login(self._user, self._password)
                refused = connection.send_message(message, self._from, self._to)
        except ssl.SSLCertVerificationError as exc:
            raise MailRefused(f"{self._name}: {exc.verify_message}") from exc
        except smtplib.SMTPRecipientsRefused as exc:
            raise self._refusal(exc.recipients) from exc
        except smtplib.SMTPResponseException as exc:
            reason = f"{self._name}: {exc.smtp_code} {_text(exc.smtp_error)}"
            permanent = exc.smtp_code >= _PERMANENT
            raise (MailRefused if permanent else MailFailed)(reason) from exc
        except smtplib.SMTPNotSupportedError as exc:
            raise MailRefused(f"{self._name}: {exc}") from exc
        except (OSError, smtplib.SMTPException) as exc:
            raise MailFailed(f"{self._name}: {type(exc).__name__}: {exc}") from exc
        if refused:
            # The others have it: again would be twice for them.
            raise self._refusal(refused, only_some=True)

    @property
    def _name(self) -> str:
        return f"mail server {self._host}:{self._port}"

    def _refusal(
        self, recipients: dict[str, tuple[int, bytes]], *, only_some: bool = False
    ) -> LogdError:
        reasons = ", ".join(
            f"{address}: {code} {_text(text)}" for address, (code, text) in recipients.items()
        )
        permanent = only_some or all(code >= _PERMANENT for code, _ in recipients.values())
        return (MailRefused if permanent else MailFailed)(f"{self._name} refused {reasons}")

    def _connect(self) -> smtplib.SMTP:
        if self._security == "ssl":
            return smtplib.SMTP_SSL(
                self._host, self._port, timeout=self._timeout_s, context=self._tls
            )
        connection = smtplib.SMTP(self._host, self._port, timeout=self._timeout_s)
        try:
            self._encrypt(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _encrypt(self, connection: smtplib.SMTP) -> None:
        if self._security == "none":
            return
        local = is_loopback(self._host)
        connection.ehlo_or_helo_if_needed()
        if self._security == "starttls" or (connection.has_extn("starttls") and not local):
            connection.starttls(context=self._tls)
        elif self._password is not None and not local:
            raise MailRefused(
                f"{self._name} offers no encryption, and a password is not sent in clear "
                f'unless told so (security="none")'
            )

    def _message(self, text: str) -> email.message.EmailMessage:
        message = email.message.EmailMessage(policy=email.policy.SMTP)
        message["From"] = self._from
        message["To"] = ", ".join(self._to)
        message["Subject"] = self._subject
        message["Date"] = email.utils.localtime()
        message["Message-ID"] = email.utils.make_msgid(domain=self._from.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is to answer this
        try:
            fitting = text.encode(self._charset, "backslashreplace").decode(self._charset)
        except LookupError as exc:
            raise ValueError(f"charset: {exc}") from exc
        message.set_content(fitting.replace("\0", "\\x00"), charset=self._charset)
        return message


def _split_server(server: str) -> tuple[str, int | None]:
    host, colon, port = server.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.endswith("]")):
        return server.strip("[]"), None
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"server: expected HOST or HOST:PORT, got {server!r}")
    return host.strip("[]"), int(port)


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer

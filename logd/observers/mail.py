"""Mail digests for the settings: `logd.observers.mailnotifier` with plain values for arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from logd.observers.mailnotifier import CatRule, mailnotifier
from logd.observers.smtp import Security, SMTPMailer

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["MailDigest"]


class MailDigest:
    """Mails messages of some categories, many in one mail.

    Args:
        server: host, or "host:port".
        to_address: the recipients.
        from_address: the sender.
        cats: the categories to mail; None: any.
        max_delay_s: how long a message may wait for others to come.
        subject: of each mail.
        password_file: file whose first line is the password for the login; read at the start.
            None: no login. The password itself is no argument, as settings are seen by many.
        login_user: None: the from_address.
        security: "auto", "starttls", "ssl" or "none", see `SMTPMailer`.
        ca_file: see `SMTPMailer`.
        interval_s: at least this long from one mail to the next.
        max_mail_bytes, max_mails_per_hour: see `mailnotifier`.

    Raises:
        ValueError: what `SMTPMailer` or `mailnotifier` refuse, or an empty password_file.
        OSError: a file can't be read.
    """

    def __init__(
        self,
        server: str,
        to_address: Sequence[str],
        from_address: str,
        cats: Sequence[str] | None = None,
        max_delay_s: float = 0.0,
        *,
        subject: str = "Log Digest",
        password_file: str | None = None,
        login_user: str | None = None,
        security: Security = "auto",
        ca_file: str | None = None,
        interval_s: float = 10.0,
        max_mail_bytes: int = 256 * 1024,
        max_mails_per_hour: int = 60,
    ) -> None:
        mailer = SMTPMailer(
            server,
            None if password_file is None else _first_line(password_file),
            to_address,
            from_address,
            subject,
            login_user,
            security=security,
            ca_file=ca_file,
        )
        self.notifier = mailnotifier(
            mailer,
            [CatRule(cats, max_delay_s)],
            spooler_sleepsecs=interval_s,
            max_mail_bytes=max_mail_bytes,
            max_mails_per_hour=max_mails_per_hour,
        )

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Collect the current message if it is of these categories. Never waits.

        Raises:
            MailLost: an earlier mail could not be sent.
        """
        self.notifier(jobhist, writer)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Mail what has been collected, within `timeout_s`; returns whether all was sent."""
        return self.notifier.close(timeout_s)


def _first_line(file: str) -> str:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise ValueError(f"password_file: {file} is empty, expected a password in line 1")
    return lines[0]

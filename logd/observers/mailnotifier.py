"""Mails messages of chosen categories, many in one mail.

    mailer = SMTPMailer("mail.example.org:587", "secret", "ops@example.org", "app@example.org")
    observer = mailnotifier(mailer, [CatRule(["E"]), CatRule(["W"], max_delay_secs=3600)])

A digest leaves as soon as its most urgent message asks for it, and takes with it all that has been
collected until then. Collecting happens in the pipeline and takes microseconds; a thread of the
notifier's own talks to the mail server.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from logd.errors import LogdError
from logd.observers.background import Background
from logd.observers.digest import Digest
from logd.observers.smtp import Mailer, MailFailed, MailRefused, SMTPMailer
from logd.records.batch import Batch
from logd.records.categories import category_set
from logd.text.lines import CallableFormat, LineFormat

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = [
    "CatBuffer",
    "CatRule",
    "MailFailed",
    "MailLost",
    "MailNotifier",
    "MailRefused",
    "Mailer",
    "Rule",
    "SMTPMailer",
    "mailnotifier",
    "now",
    "stop_all",
    "timedelta",
]

logger = logging.getLogger(__name__)

_MAX_BACKOFF_S = 600.0
_STOP_TIMEOUT_S = 10.0
_LOOK_AGAIN_S = 0.1
"""A clock that was put in the place of `now` may jump: it is looked at so often."""

_MAX_DELAY_S = 1e9
"""More than any process lives, and less than a timedelta holds."""

now = datetime.now
"""The clock of notifiers without one of their own, if another function is put in its place.

As it is, they use a clock that nobody sets. `timedelta` may be replaced in the same way: what it
makes of a rule's `seconds` is how long a message may wait.
"""

CatBuffer = Digest
"""Collects the messages of the next mail."""

_wall_clock = now

# `stop_all()` is documented without arguments, so something has to know the notifiers.
_notifiers: weakref.WeakSet[MailNotifier] = weakref.WeakSet()


class MailLost(LogdError):
    """Mails could not be sent.

    Raised by the observer's call though it took the current message: `LogServer` makes a record
    of it, so that the log tells what the mails could not. Once for each loss.
    """


class Rule(Protocol):
    """Says which messages are mailed, and how soon."""

    max_delay_secs: float

    def applies(self, job: MsgJob) -> bool:
        """Whether this rule is the one for the message."""


class CatRule:
    """Messages of some categories are mailed after `max_delay_secs` at the latest.

    Args:
        cats: the categories; None: any.
        max_delay_secs: the longest that such a message waits for others to come. 0: not at all.

    Raises:
        TypeError: a plain string for cats.
        ValueError: a negative delay.
    """

    def __init__(self, cats: Iterable[str] | None, max_delay_secs: float = 0) -> None:
        if max_delay_secs < 0:
            raise ValueError(f"max_delay_secs: expected 0 or more, got {max_delay_secs}")
        self.max_delay_secs = max_delay_secs
        self._cats = category_set(cats)

    def applies(self, job: MsgJob) -> bool:
        """Whether the message is of these categories."""
        return self._cats is None or job.cat in self._cats


def mailnotifier(
    mailer: Mailer,
    rules: Iterable[Rule],
    format_line: Callable[..., str] | None = None,
    spooler_autostop: bool = True,
    spooler_sleepsecs: float = 10,
    *,
    max_mail_bytes: int = 256 * 1024,
    max_mails_per_hour: int = 60,
    tries: int = 8,
    backoff_s: float = 5.0,
    clock: Callable[[], float] | None = None,
) -> MailNotifier:
    """An observer that collects messages and mails them as a digest.

    Args:
        mailer: sends the mails, e.g. an `SMTPMailer`.
        rules: the first that applies to a message counts; a message to which none applies is not
            mailed.
        format_line: makes the text of a message, as for `FileLogWriter`; None: the line that
            stands in text files.
        spooler_autostop: what has been collected is mailed when the process ends, within
            10 seconds. Else it is lost unless `stop_all()` is called before.
        spooler_sleepsecs: from one mail to the next at least, so that a flood of urgent messages
            does not become a flood of mails. A message may wait longer by this than its rule says.
        max_mail_bytes: how long a mail may grow. What comes after is counted, and the mail ends
            with how many messages of which categories were left out.
        max_mails_per_hour: when they are used up, messages are collected into the next mail.
        tries: how often a mail is tried before it is given up; the next one tells of it.
        backoff_s: pause after the first failure, doubled each time up to ten minutes.
        clock: seconds that only go forward; None: this module's `now`, if that was replaced, or
            the system's.

    Raises:
        ValueError: a limit that makes no sense.
    """
    return MailNotifier(
        mailer,
        rules,
        layout=LineFormat() if format_line is None else CallableFormat(format_line, lambda: 0),
        close_at_exit=spooler_autostop,
        digest=CatBuffer(
            max_bytes=max_mail_bytes,
            max_mails_per_hour=max_mails_per_hour,
            interval_s=spooler_sleepsecs,
        ),
        tries=tries,
        backoff_s=backoff_s,
        clock=_seconds if clock is None else clock,
    )


def _seconds() -> float:
    """The time by `now`, if that was replaced; else by a clock that only goes forward."""
    if now is _wall_clock:
        return time.monotonic()
    moment: datetime | float = now()
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)


def _delay_s(rule: Rule) -> float:
    """How long a message may wait by this rule, as `timedelta` makes it."""
    delay: timedelta | float = timedelta(seconds=min(rule.max_delay_secs, _MAX_DELAY_S))
    return float(delay) if isinstance(delay, int | float) else delay.total_seconds()


def stop_all(timeout_s: float = _STOP_TIMEOUT_S) -> bool:
    """Have all notifiers mail what they have collected, and end their threads.

    Returns:
        Whether all of it was sent within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    results = [item.close(max(0.0, deadline - time.monotonic())) for item in list(_notifiers)]
    return all(results)


class MailNotifier:
    """What `mailnotifier` makes: an observer with a digest in the making and a thread to send it.

    Attributes:
        sent: mails that the server has taken.
        lost: messages in mails that were given up.
    """

    def __init__(
        self,
        mailer: Mailer,
        rules: Iterable[Rule],
        *,
        layout: LineFormat,
        close_at_exit: bool,
        digest: Digest,
        tries: int,
        backoff_s: float,
        clock: Callable[[], float],
    ) -> None:
        if tries < 1:
            raise ValueError(f"tries: expected at least 1, got {tries}")
        self._mailer = mailer
        self._rules = tuple(rules)
        self._layout = layout
        self._digest = digest
        self._tries = tries
        self._backoff_s = backoff_s
        self._clock = clock
        self.sent = 0
        self.lost = 0
        self._trouble: str | None = None
        self._reset()
        self._background = Background(
            "logd mail",
            self._step,
            after_fork=self._forked,
            close_at_exit_s=_STOP_TIMEOUT_S if close_at_exit else None,
        )
        _notifiers.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._mail: tuple[str, int] | None = None  # text and messages of the mail being sent
        self._failures = 0
        self._not_before = 0.0

    def _forked(self) -> None:
        """In a child process: what was collected before is the parent's to send."""
        self._reset()
        if len(self._digest):
            self._digest.take(self._clock())

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Collect the current message if a rule applies. Never waits.

        Raises:
            MailLost: an earlier mail could not be sent.
        """
        job = jobhist[-1]
        rule = next((rule for rule in self._rules if rule.applies(job)), None)
        if rule is not None:
            # Made into text here, as later observers may change the job.
            with self._lock:
                line = "\n".join(self._layout.format_batch(Batch.from_jobs([job])))
                self._digest.add(line, job.cat, job.time, self._clock() + _delay_s(rule))
            self._background.wake()
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise MailLost(trouble)

    def close(self, timeout_s: float = _STOP_TIMEOUT_S) -> bool:
        """Mail what has been collected, whatever its rules say, and end the thread.

        Returns:
            Whether it was sent within `timeout_s`.
        """
        lost_before = self.lost
        self._background.close(timeout_s)
        with self._lock:
            left = len(self._digest) + (self._mail[1] if self._mail is not None else 0)
            if len(self._digest):
                self._digest.take(self._clock())
            self._mail = None
            self.lost += left
        if left:
            logger.warning("%d messages were not mailed before the end", left)
        return self.lost == lost_before

    def _step(self) -> float | None:
        """Send what is due. Runs in the background thread."""
        while True:
            closing = self._background.is_closing
            with self._lock:
                instant = self._clock()
                if self._mail is None:
                    if not len(self._digest):
                        return None
                    pause_s = self._digest.due_at() - instant
                    if pause_s > 0 and not closing:
                        return pause_s if now is _wall_clock else min(pause_s, _LOOK_AGAIN_S)
                    count = len(self._digest)
                    self._mail = self._digest.take(instant), count
                elif self._not_before > instant and not closing:
                    return self._not_before - instant
                text, count = self._mail
            if self._background.time_left(1.0) <= 0:
                return None
            self._try(text, count)

    def _try(self, text: str, count: int) -> None:
        try:
            self._mailer.send(text)
        except Exception as exc:
            # Mailers are also written by users: whatever they raise costs a mail, not the thread.
            self._failures += 1
            last = isinstance(exc, MailRefused) or self._background.is_closing
            if not last and self._failures < self._tries:
                pause_s = min(self._backoff_s * 2 ** (self._failures - 1), _MAX_BACKOFF_S)
                self._not_before = self._clock() + pause_s
                logger.warning("%s; next try in %.0f s", exc, pause_s)
                return
            self._give_up(count, f"{type(exc).__name__}: {exc}" if str(exc) else repr(exc))
        else:
            with self._lock:
                self.sent += 1
                self._mail = None
        self._failures = 0

    def _give_up(self, count: int, reason: str) -> None:
        text = f"A mail with {count:,} messages could not be sent: {reason}"
        logger.warning("%s", text)
        with self._lock:
            if self._mail is not None:  # else `close` has counted it already
                self.lost += count
                self._mail = None
            self._digest.add_note(text)
            self._trouble = text

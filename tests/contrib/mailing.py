"""What the tests of mails share: a mailer that keeps what it sends, and a clock."""

from __future__ import annotations

import threading

TIMEOUT_S = 60.0


class Outbox:
    """A mailer that keeps the texts, or fails as told."""

    def __init__(self, *failures):
        self.texts = []
        self.tries = 0
        self.failures = list(failures)
        self.changed = threading.Condition()
        self.open = threading.Event()
        self.open.set()

    def send(self, text):
        self.open.wait(TIMEOUT_S)
        with self.changed:
            self.tries += 1
            self.changed.notify_all()
            if self.failures:
                raise self.failures.pop(0)
            self.texts.append(text)

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.texts) >= count, TIMEOUT_S)
        return self.texts


class Clock:
    """Stands still until it is moved."""

    now = 1_000.0

    def __call__(self):
        return self.now


def text_of(job):
    """A short text of a record."""
    return f"{job.cat} {job.msg}"

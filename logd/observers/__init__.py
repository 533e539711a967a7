"""Observers to use as they are: they carry records on to people and programs elsewhere.

In programs they are given to a `LogServer`, in settings they are named with their arguments:
`observer = ["logd.observers:Webhook?url=https://hooks.example.org/x&cats=E"]`. None of them ever
makes the pipeline wait; `close(timeout_s)` delivers what is left, in bounded time.
"""

from __future__ import annotations

from logd.observers.command import Command
from logd.observers.mail import MailDigest
from logd.observers.webhook import Webhook

__all__ = ["Command", "MailDigest", "Webhook"]

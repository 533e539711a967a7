"""Mails of log records: the documented place of what `logd.observers.mailnotifier` has."""

from __future__ import annotations

from logd.observers.mailnotifier import *  # noqa: F403

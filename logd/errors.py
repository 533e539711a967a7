"""Errors of logd that callers may want to tell apart; each module adds its own below these."""

from __future__ import annotations


class LogdError(Exception):
    """Base of the errors that logd raises on purpose."""


class StartupError(LogdError):
    """The daemon can't start as told; the text says in one line what, where and what to do."""

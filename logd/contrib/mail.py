"""Mails of log records: the documented place of what `logd.observers.mailnotifier` has."""

from __future__ import annotations

import sys

from logd.observers import mailnotifier as _module
from logd.observers.mailnotifier import *  # noqa: F403

# One module by two names: what is put in the place of `now` here is what the notifiers call.
sys.modules[__name__] = _module

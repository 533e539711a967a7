"""Filters to use as they are: they drop or change records before these are written.

In programs they are given to a `LogServer`, in settings they are named with their arguments:
`filter = ["logd.filters:Categories?disable=D", "logd.filters:Redact"]`.
"""

from __future__ import annotations

from logd.filters.categories import Categories
from logd.filters.matching import Matching
from logd.filters.ratelimit import RateLimit
from logd.filters.redact import Redact
from logd.filters.sample import Sample

__all__ = ["Categories", "Matching", "RateLimit", "Redact", "Sample"]

"""Where lines of each layout have their time and category, so that these are told without reading.

Timestamps of all layouts compare as text within one offset from UTC; those of the default layout
are in the default format. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from logd.text.escaping import category_text, quoted, value_text
from logd.text.jsonlines import START as JSON_START
from logd.text.logfmtlines import START as LOGFMT_START
from logd.text.structured import LEVELS
from logd.text.timereading import DEFAULT_SHAPE


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """One layout.

    Attributes:
        start: what each entry begins with.
        stamp: where the time stands, to the millisecond.
        zone: where its offset from UTC stands.
        head_at: where that begins which has the category.
        head: makes that of a category, "" for none.
        shape: what entries look like as far as here.
        separators: takes of an entry the characters that part its fields.
    """

    start: bytes
    stamp: slice
    zone: slice
    head_at: int
    head: Callable[[str], str]
    shape: re.Pattern[bytes]
    separators: Callable[[bytes], Any]

    def fits(self, entries: Sequence[bytes]) -> bool:
        """Whether all entries are of this layout, at least one.

        The first is looked at closely, the others at the characters that part their fields.
        """
        if not entries or not self.shape.match(entries[0]):
            return False
        try:
            return set(map(self.separators, entries)) == {self.separators(entries[0])}
        except IndexError:
            return False


def _logfmt_head(cat: str) -> str:
    level = f" level={LEVELS[cat]}" if cat in LEVELS else ""
    return f"{level} cat={value_text(cat)} msgid=" if cat else f"{level} msgid="


_RFC_3339 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[+-][0-9]{2}:[0-9]{2}"

DEFAULT = Layout(
    start=b"",
    stamp=slice(23),
    zone=slice(23, 28),
    head_at=28,
    head=lambda cat: f" {category_text(cat)} ",
    # Category, sender and number behind the timestamp.
    shape=re.compile(f"{DEFAULT_SHAPE} \\S+ -?[0-9]+[@#]".encode()),
    # The T, the point and the blank behind it all.
    separators=itemgetter(10, 19, 28),
)
JSON = Layout(
    start=JSON_START,
    stamp=slice(9, 32),
    zone=slice(35, 41),
    head_at=41,
    head=lambda cat: f'","cat":{quoted(cat)},',
    shape=re.compile(f'{{"time":"{_RFC_3339}","cat":"'.encode()),
    separators=itemgetter(slice(9), 19, 28, 38, slice(41, 50)),
)
LOGFMT = Layout(
    start=LOGFMT_START,
    stamp=slice(5, 28),
    zone=slice(31, 37),
    head_at=37,
    head=_logfmt_head,
    shape=re.compile(f"time={_RFC_3339} ".encode()),
    separators=itemgetter(slice(5), 15, 24, 34, 37),
)
LAYOUTS = (DEFAULT, JSON, LOGFMT)


def structured_layout(entries: Sequence[bytes]) -> Layout | None:
    """The one of JSON and logfmt that all of the entries have; None if they don't, or are none."""
    if not entries:
        return None
    layout = JSON if entries[0].startswith(JSON.start) else LOGFMT
    return layout if layout.fits(entries) else None

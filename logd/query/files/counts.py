"""Counts raw entries by what their bytes say, without parsing each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from operator import itemgetter

from logd.query.labels import entry_label, hour_of
from logd.query.source import Counts, Key
from logd.text.reading import MARK, LineReader

# The category stands between the first two blanks behind the timestamp; so does the sender after.
_TS_END = 28
_MINUTE_AND_ZONE = itemgetter(slice(0, 16), slice(23, 28))
_SENDER = re.compile(rb" \S+ -?[0-9]+(?:@([^\s#]*))?#")


class RawCounts:
    """Counts of raw entries by one key.

    Args:
        key: what to count by, None for the number alone.
        reader: reads the entries.

    Attributes:
        counts: so far.
    """

    def __init__(self, key: Key | None, reader: LineReader) -> None:
        self.counts: Counts = Counter()
        self._key = key
        self._reader = reader

    def add(self, entries: list[bytes], *, is_fast: bool) -> None:
        """Count entries; `is_fast`: see `Prefilter.is_fast`."""
        if self._key is None:
            self.counts[""] += len(entries)
        elif not is_fast or not self._add_fast(entries):
            read = self._reader.read
            labels = (entry_label(read(entry), self._key) for entry in entries)
            self.counts.update(label for label in labels if label is not None)

    def _add_fast(self, entries: list[bytes]) -> bool:
        """Count by slices; False where some entry has not what is counted by."""
        try:
            match self._key:
                case "hour":
                    self._add(self._hours(entries))
                case "cat":
                    found = Counter(entry.split(b" ", 2)[1] for entry in entries)
                    self._add({_category(cat): count for cat, count in found.items()})
                case "host":
                    matches = Counter(
                        match[1] if (match := _SENDER.match(entry, _TS_END)) else None
                        for entry in entries
                    )
                    self._add({_text(peer or b""): count for peer, count in matches.items()})
                case _:
                    self._add({_text(site): n for site, n in Counter(_sites(entries)).items()})
        except IndexError:
            return False
        return True

    def _add(self, found: dict[str, int] | dict[int, int]) -> None:
        for label, count in found.items():
            self.counts[label] += count

    def _hours(self, entries: Iterable[bytes]) -> dict[int, int]:
        found: dict[int, int] = {}
        for (minute, zone), count in Counter(map(_MINUTE_AND_ZONE, entries)).items():
            moment = self._reader.times.read(f"{_text(minute)}:00.000{_text(zone)}")
            if moment is not None:
                hour = hour_of(moment)
                found[hour] = found.get(hour, 0) + count
        return found


def _sites(entries: Iterable[bytes]) -> Iterable[bytes]:
    for entry in entries:
        line = entry.partition(MARK)[0]
        yield line.rsplit(b"\t", 2)[1].partition(b"<-")[0]


def _category(text: bytes) -> str:
    return "" if text == b"-" else _text(text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")

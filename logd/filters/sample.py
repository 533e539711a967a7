"""Keeps a share of the records if all of them would be too many."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from logd.records.categories import category_set

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["Sample"]

_chance = random.SystemRandom().random


class Sample:
    """Keeps one record of `one_in` and marks each kept one with how many it stands for.

    A kept record gets the special item `one_in`, so that counts over the log can be scaled up.

    Args:
        one_in: how many records one kept record stands for; 1 keeps all.
        cats: only records of these categories are sampled, all others are kept; None: any.
        key: name of a special item (e.g. a request's id). Records with equal values are kept or
            dropped together, in every daemon and after a restart too. Records without it, and all
            if key is None, are chosen by chance, each on its own.
        chance: gives numbers from 0 up to but without 1.

    Raises:
        ValueError: one_in below 1.
        TypeError: a plain string for cats.
    """

    def __init__(
        self,
        one_in: int,
        cats: Sequence[str] | None = None,
        key: str | None = None,
        *,
        chance: Callable[[], float] = _chance,
    ) -> None:
        if one_in < 1:
            raise ValueError(f"one_in: expected at least 1, got {one_in}")
        self._one_in = one_in
        self._cats = category_set(cats)
        self._key = key
        self._chance = chance

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Drop the current record, or mark it as one that stands for others."""
        job = jobhist[-1]
        if self._cats is not None and job.cat not in self._cats:
            return
        value = None if self._key is None else job.special.get(self._key)
        if value is None:
            kept = self._chance() * self._one_in < 1
        else:
            # A checksum, not hash(): that differs from process to process.
            kept = zlib.crc32(str(value).encode("utf-8", "replace")) % self._one_in == 0
        if kept:
            job.special = {**job.special, "one_in": self._one_in}
        else:
            job.drop()

"""What a workload is, and whether what is found after a loss is what its marks promised."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

Mark = Callable[[str], None]

CLIENTS = ("aaaa", "bbbb")
TOTAL = 60
MESSAGE = re.compile(r"(\w{4}) record (\d+)")


class Workload(Protocol):
    """Something that keeps what is given to it."""

    def run(self, folder: Path, marks: Sequence[str], mark: Mark) -> None:
        """Work in `folder`, where an earlier run, if any, made `marks`."""

    def check(self, folder: Path, marks: Sequence[str]) -> list[str]:
        """Go on after a loss; returns what is wrong."""


def facts(marks: Iterable[str]) -> dict[str, dict[str, int]]:
    """What a run's marks say: word -> client -> the highest number."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(CLIENTS, 0))
    for text in marks:
        word, client, number = text.split()
        if client not in CLIENTS:
            continue
        found[word][client] = max(found[word][client], int(number))
    return found


def client_id(client: str) -> bytes:
    """The id of a session, which has 16 bytes."""
    return (client * 4).encode()


def compared(
    found: Sequence[str], lasts: Mapping[str, int], *, may_lack_oldest: bool = False
) -> list[str]:
    """What is wrong with messages of which each client must have all, once, and in order.

    Args:
        found: the messages.
        lasts: how many of each client there must be.
        may_lack_oldest: older ones may be gone.
    """
    faults = []
    for client in CLIENTS:
        own = [
            int(match[2]) for match in map(MESSAGE.search, found) if match and match[1] == client
        ]
        missing = set(range(1, lasts[client] + 1)) - set(own)
        if may_lack_oldest:
            missing -= set(range(1, own[0] if own else TOTAL + 1))
        if own and own[-1] > lasts[client]:
            faults.append(f"{client}: too many: {own[-1]}, told that {lasts[client]} are stored")
        repeated = sorted({number for number in own if own.count(number) > 1})
        if missing:
            faults.append(f"{client}: missing {spans_of(missing)}")
        if repeated:
            faults.append(f"{client}: repeated {spans_of(repeated)}")
        if not repeated and own != sorted(own):
            faults.append(f"{client}: not in order: {own}")
    return faults


def spans_of(numbers: Iterable[int]) -> str:
    """Numbers as people write them: "1-3, 7"."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)

"""Workloads of the whole daemon: `logd serve`, senders, queries, and hands in the log's folder."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.powerloss.hands import Hands, Mark
from tests.chaos.powerloss.service import Sender, Service, query

CLIENTS = ("aaaa", "bbbb")
TOTAL = 60
_MESSAGE = re.compile(r"(aaaa|bbbb) record (\d+)")
PATTERN = "app_%d.log"


class Story:
    """What marks tell.

    Attributes:
        acked: client -> the highest number that is acknowledged.
        sent: client -> the highest number that was sent.
        theirs: client -> records that hands have made their own.
        deeds: what hands did.
        unsure: client -> up to this number, records that are not acknowledged may be there twice.
    """

    def __init__(self, marks: Iterable[str]) -> None:
        self.acked = dict.fromkeys(CLIENTS, 0)
        self.sent = dict.fromkeys(CLIENTS, 0)
        self.unsure = dict.fromkeys(CLIENTS, 0)
        self.theirs: dict[str, set[int]] = {client: set() for client in CLIENTS}
        self.deeds: list[str] = []
        for mark in marks:
            self.note(mark)

    def note(self, mark: str) -> None:
        """Take the next mark."""
        word, client, number = mark.split()
        match word:
            case "acked":
                self.acked[client] = max(self.acked[client], int(number))
            case "sent":
                self.sent[client] = max(self.sent[client], int(number))
            case "hand":
                self.deeds.append(client)
            case "theirs":
                self.theirs[client].add(int(number))
            case "unsure":
                self.unsure[client] = max(self.unsure[client], int(number))

    @property
    def _is_order_lost(self) -> bool:
        """Whether files have names that no journal knows: then their records' times must tell.

        Files of ten records, which came from two senders at once, are too short for that.
        """
        return bool({"_move", "_move_current", "_remove_journal"} & set(self.deeds))

    def faults(
        self, found: Sequence[str], lasts: Mapping[str, int], *, may_lack_oldest: bool
    ) -> list[str]:
        """What is wrong with the messages of a query.

        Args:
            found: the messages.
            lasts: client -> all up to this number must be there.
            may_lack_oldest: the ring may have come round.
        """
        faults = []
        for client in CLIENTS:
            own = [int(m[2]) for m in map(_MESSAGE.fullmatch, found) if m and m[1] == client]
            ours = [number for number in own if number not in self.theirs[client]]
            wanted = set(range(1, lasts[client] + 1)) - self.theirs[client]
            if may_lack_oldest:
                wanted -= set(range(1, min(own, default=TOTAL + 1)))
            twice = {number for number in ours if ours.count(number) > 1}
            twice -= set(range(self.unsure[client] + 1)) if self.unsure[client] else set()
            if missing := sorted(wanted - set(own)):
                faults.append(f"{client}: missing {missing} of {lasts[client]}")
            if twice:
                faults.append(f"{client}: repeated {sorted(twice)}")
            elif ours != sorted(ours) and not self._is_order_lost:
                faults.append(f"{client}: not in order {own}")
        return faults


class WholeDaemon:
    """The daemon with its settings, until all senders are done.

    Args:
        settings: of the daemon, as TOML has them.
        has_hands: whether somebody works in the folder of the log.
    """

    def __init__(self, settings: Mapping[str, Any], *, has_hands: bool = False) -> None:
        self._settings = settings
        self._has_hands = has_hands
        self._may_lack_oldest = int(settings.get("rotate_count", 1000)) < 100

    def run(self, folder: Path, marks: Sequence[str], mark: Mark) -> None:
        story = Story(marks)
        faults = self._go_on(folder, story, random.Random(len(marks) + self._seed(folder)), mark)
        assert not faults, faults

    def check(self, folder: Path, marks: Sequence[str]) -> list[str]:
        story = Story(marks)
        dice = random.Random(len(marks) + self._seed(folder))
        if self._has_hands and dice.random() < 0.5:
            outstanding = {c: range(story.acked[c] + 1, story.sent[c] + 1) for c in CLIENTS}
            self._hands(folder, dice, story.note, None).act(outstanding)
        faults = self._go_on(folder, story, dice, story.note)
        status, found = query(self._config(folder), folder.parent)
        if status and not self._has_hands:
            faults.append(f"the query ended with status {status}")
        lasts = dict.fromkeys(CLIENTS, TOTAL)
        faults += story.faults(found, lasts, may_lack_oldest=self._may_lack_oldest)
        return [*faults, f"hands: {', '.join(story.deeds)}"] if faults else []

    @staticmethod
    def _seed(folder: Path) -> int:
        return int(folder.parent.name)

    def _config(self, folder: Path) -> Path:
        values = {
            **self._settings,
            "state_dir": str(folder / "state"),
            "index": False,
            "log_level": "info",
        }
        if "db" in values:
            values["db"] = f"sqlite:///{folder}/db/log.db"
            (folder / "db").mkdir(exist_ok=True)
        else:
            values["file"] = str(folder / "logs" / PATTERN)
        path = folder.parent / "logd.toml"
        path.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in values.items()))
        return path

    def _hands(
        self, folder: Path, dice: random.Random, mark: Mark, hang_up: Callable[[Any], None] | None
    ) -> Hands:
        return Hands(folder / "logs", PATTERN, dice, mark, hang_up)

    def _go_on(self, folder: Path, story: Story, dice: random.Random, mark: Mark) -> list[str]:
        """Run the daemon until all is acknowledged; returns what is wrong meanwhile."""

        def note(text: str) -> None:
            mark(text)
            if mark != story.note:
                story.note(text)

        config = self._config(folder)
        faults: list[str] = []
        with Service(config, folder.parent) as service:
            senders = {
                client: Sender(
                    service.connect(), client, client.encode() * 4, story.acked[client], TOTAL
                )
                for client in CLIENTS
            }
            for client, sender in senders.items():
                # A mark goes with the records that a hand has cut.
                unknown = set(range(sender.told + 1, story.acked[client] + 1))
                if unknown - story.theirs[client] and not story.unsure[client]:
                    faults.append(f"{client}: told {sender.told} of {story.acked[client]} acked")
                note(f"sent {client} {sender.sent}")
                note(f"acked {client} {sender.acked}")
            hands = self._hands(folder, dice, note, service.signal)
            while any(sender.acked < TOTAL for sender in senders.values()):
                for client, sender in senders.items():
                    if dice.random() < 0.8:
                        # Before it is sent: it may be on disk at once.
                        note(f"sent {client} {min(TOTAL, sender.sent + 9)}")
                        sender.send(dice.randint(1, 9))
                if self._has_hands and dice.random() < 0.3:
                    hands.act({c: range(s.acked + 1, s.sent + 1) for c, s in senders.items()})
                for client, sender in senders.items():
                    for number in sender.wait():
                        note(f"acked {client} {number}")
                if dice.random() < 0.1:
                    faults += self._looked_at(config, folder, story, senders)
            for sender in senders.values():
                sender.close()
        return faults

    def _looked_at(
        self, config: Path, folder: Path, story: Story, senders: Mapping[str, Sender]
    ) -> list[str]:
        """What is wrong with what a query finds while the daemon runs."""
        status, found = query(config, folder.parent)
        lasts = {client: sender.acked for client, sender in senders.items()}
        faults = story.faults(found, lasts, may_lack_oldest=self._may_lack_oldest)
        if status and not self._has_hands:
            faults.append(f"ended with status {status}")
        return [f"a query meanwhile: {fault}" for fault in faults]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)

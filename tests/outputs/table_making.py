"""What the tests of table outputs share: outputs on each kind of database, and batches for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from logd.outputs.base import OutputSettings
from logd.outputs.tables.output import TableOutput
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context
from logd.rotation.policy import Retention, RotationPolicy, Schedule
from logd.textwriter import LineFormat

NOON = 1_790_000_000.0


class DeadLetterList:
    """Dead letters in memory."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str, str]] = []

    def put(self, batch: Batch, row: int, reason: str, output: str) -> None:
        """Keep the message, the reason and the output's name."""
        self.letters.append((batch.msg[row], reason, output))


class Clock:
    """A clock that the test moves."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return self.now


class Outputs:
    """Makes outputs for one database and closes them after the test."""

    def __init__(self, database: Any, state_dir: Path) -> None:
        self.database = database
        self.dead_letters = DeadLetterList()
        self.clock = Clock()
        self._state_dir = state_dir
        self._made: list[TableOutput] = []

    def make(
        self,
        *,
        lines: int | None = None,
        count: int | None = 10,
        schedule: Schedule | None = None,
        size: int | None = None,
        age_s: float | None = None,
        total_bytes: int | None = None,
        columns: Sequence[tuple[object, ...]] | None = None,
        naming: Any = "ring",
        url: str | None = None,
        pattern: str | None = None,
        durable: bool = True,
        shared: bool = False,
    ) -> TableOutput:
        """An output that is not open yet."""
        settings = OutputSettings(
            rotation=RotationPolicy(lines=lines, size=size, schedule=schedule),
            retention=Retention(count=count, age_s=age_s, total_bytes=total_bytes),
            line_format=LineFormat(),
            durable=durable,
            state_dir=self._state_dir,
            dead_letters=self.dead_letters,
            naming=naming,
            table_pattern=pattern or self.database.pattern,
            shared_marks=shared,
        )
        output = TableOutput(
            url or self.database.url,
            settings,
            columns=columns,
            clock=self.clock,
        )
        self._made.append(output)
        return output

    def opened(self, **settings: Any) -> TableOutput:
        """An open output."""
        output = self.make(**settings)
        output.open()
        return output

    @staticmethod
    def batch(
        count: int = 3,
        *,
        client: bytes | None = None,
        first: int = 1,
        cat: str = "E",
        msgs: Sequence[str] | None = None,
        special: Mapping[int, Mapping[str, Any]] | None = None,
        start: float = NOON,
        context: Context | None = None,
    ) -> Batch:
        """A batch of `count` records, numbered by their messages from `first` on."""
        context = context or Context(
            4711,
            140_000_000_000_001,
            "MainThread",
            cat,
            (("/srv/views.py", 42), (None, None)),
            9,
            "pay",
        )
        msgs = [f"message {first + row}" for row in range(count)] if msgs is None else msgs
        return Batch(
            [context],
            bytes(len(msgs)),
            range(first, first + len(msgs)),
            [start + row for row in range(len(msgs))],
            msgs,
            special,
            peer="10.0.0.7",
            client=client,
            first=first if client is not None else 0,
            ts=["2026-11-22T11:10:00.123+0000"] * len(msgs),
            formatter=ShortNames(),
        )

    def close_all(self) -> None:
        """Close all that were made."""
        for output in self._made:
            output.close()

    def messages(self) -> dict[str, list[str]]:
        """Table -> messages in the order written."""
        rows = {name: self.database.rows(name, "id") for name in self.database.table_names()}
        return {
            name.removeprefix(self.database.prefix + "_"): [row["msg"] for row in table]
            for name, table in rows.items()
        }


def numbered(*numbers: int) -> list[str]:
    """The messages of `Outputs.batch` with these numbers."""
    return [f"message {number}" for number in numbers]

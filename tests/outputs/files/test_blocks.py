"""Blocks: batches of one record are written together, and nothing shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.outputs.files.blocks import MAX_LONE_CHARS, lone_from
from logd.outputs.files.output import FileOutput
from logd.records.batch import Batch
from logd.records.context import Context
from logd.rotation.policy import RotationPolicy
from logd.text.lines import LineFormat
from tests.outputs.output_making import Clock, entries_of, log_files, make_settings, numbered

CLIENTS = [bytes([65 + number]) * 16 for number in range(3)]
TEXTS = ["plain", "two\nlines", "an \x1b escape", "\\ and ü", ""]


def lone(number: int, text: str, *, peer: str = "", ts: str | None = "12:00:00.000") -> Batch:
    """A batch of one record with a context and an item of its own."""
    context = Context(number, 1, f"thread {number}", "IEW"[number % 3], (("a.py", number),), 1, "f")
    special = {0: {"request_id": f"r{number}"}} if number % 2 else {}
    times = None if ts is None else [ts]
    return Batch([context], b"\0", [number], [1e9 + number], [text], special, peer=peer, ts=times)


@pytest.mark.parametrize("ts", ["12:00:00.000", "", None])
def test_the_text_is_the_same(ts: str | None) -> None:
    """Together they give the bytes that each gives by itself."""
    batches = [lone(number, text, ts=ts) for number, text in enumerate(TEXTS)]
    line_format = LineFormat()
    each = b"".join(map(line_format.encode_batch, batches))
    assert line_format.encode_batch(Batch.of_lone(batches)) == each


def test_only_what_is_alike_goes_together() -> None:
    """Longer batches, long texts and other peers end a run."""
    ends = [numbered(1, 2), lone(9, "x" * (MAX_LONE_CHARS + 1)), lone(9, "text", peer="10.0.0.1")]
    for end in ends:
        assert len(lone_from([lone(1, "a"), lone(2, "b"), end, lone(3, "c")], 0)) == 2


@pytest.mark.parametrize("rotation", [RotationPolicy(lines=7), RotationPolicy(size=500)])
def test_files_are_full_exactly(rotation: RotationPolicy, tmp_path: Path) -> None:
    """A run of lone records is divided where a file is full; marks tell of each session."""
    pattern = str(tmp_path / "app_%d.log")
    output = FileOutput(pattern, make_settings(tmp_path, rotation=rotation), clock=Clock())
    output.open()
    rounds = [numbered(number, 1, client) for number in range(1, 21) for client in CLIENTS]
    output.write(rounds)
    output.close()
    files = log_files(tmp_path)
    counts = [len(entries_of([path])) for path in files]
    assert sum(counts) == len(rounds)
    if rotation.lines:
        assert counts[:-1] == [rotation.lines] * (len(counts) - 1)
    else:
        assert all(path.stat().st_size <= 500 for path in files)
    again = FileOutput(pattern, make_settings(tmp_path, rotation=rotation), clock=Clock())
    assert again.open() == dict.fromkeys(CLIENTS, 20)
    again.close()

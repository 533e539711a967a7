"""One record is one entry, wherever it is read from: the feed, a file, a table, a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from logd.daemon.feed import Slice, encode
from logd.observers.records import record_as_dict, to_json
from logd.outputs.tables.output import TableOutput
from logd.query.files.source import FileSource
from logd.query.tables.source import TableSource
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context
from logd.records.entry import Entry
from logd.records.shape import NAMES
from logd.text.lines import LineFormat
from logd.text.reading import BREAK, MARK, LineReader
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, Notes, write_log

TEXTS = st.text(max_size=12) | st.text("\\tnrx1b\t\r\n\x1b\u202e\udc80a ", max_size=8)
ITEMS = st.recursive(
    TEXTS | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)


def batch_of(
    msg: str, name: str, cat: str, microseconds: int, items: dict[str, Any], peer: str = ""
) -> Batch:
    """A batch of one record."""
    times = [START + microseconds / 1e6]
    return Batch(
        [Context(4711, 140_001, name, cat, (("/srv/views.py", 42), (None, None)), 7, name)],
        bytes(1),
        [17],
        times,
        [msg],
        {0: items} if items else None,
        peer=peer,
        ts=Timestamps(DEFAULT_FORMAT).texts(times),
        formatter=ShortNames(),
    )


BATCHES = st.builds(
    batch_of,
    TEXTS,
    TEXTS,
    st.sampled_from(["E", "", "-", "two words", "a\\tb"]),
    st.integers(0, 10**12),
    st.dictionaries(TEXTS.filter(bool), ITEMS, max_size=3),
    st.sampled_from(["", "10.0.0.7"]),
)
ODD = batch_of(
    "a real\ttab, \\t two characters\r\nC:\\temp \x1b[2J",
    "T\\n",
    "E",
    123_456,
    {"n": 1, "f": 1.0, "t": "1", "no": None, "cart": {"a b": [1, "x\ty", True]}, "\t": "\\t"},
    "10.0.0.7",
)


def from_feed(batch: Batch) -> Entry:
    """The entry as followers of the daemon get it."""
    return Entry.from_feed(json.loads(encode(Slice(0, batch, range(1)))))


def from_line(batch: Batch) -> Entry:
    """The entry as readers of a file get it."""
    raw = LineFormat(DEFAULT_FORMAT).encode_batch(batch).removesuffix(b"\n")
    return LineReader().read(raw.replace(BREAK, MARK))


@given(BATCHES)
@example(ODD)
def test_feed_and_files(batch: Batch) -> None:
    """The feed and a line of a file give the same entry, values and types of items included."""
    live, read = from_feed(batch), from_line(batch)
    assert read == live
    assert list(map(type, read.special.values())) == list(map(type, live.special.values()))


def test_one_shape() -> None:
    """The feed, `--json` and what webhooks and commands get are the same object."""
    fed = json.loads(encode(Slice(0, ODD, range(1))))
    (job,) = ODD.jobs()
    assert tuple(record_as_dict(job)) == NAMES
    assert json.loads(to_json(record_as_dict(job))) == fed
    shown = json.loads(from_line(ODD).as_json())
    assert tuple(shown) == NAMES
    # Where lines end is the same everywhere once a record was read.
    assert shown == {**fed, "msg": fed["msg"].replace("\r\n", "\n")}


def test_tables_too(tmp_path: Path) -> None:
    """A file and a table, as the outputs write them, give the same entry."""
    write_log(tmp_path / "app_%d.log", [ODD])
    output = TableOutput(f"sqlite:///{tmp_path}/log.db", make_settings(tmp_path))
    output.open()
    output.write([ODD])
    output.close()
    (of_file,) = FileSource(str(tmp_path / "app_%d.log"), Notes()).entries()
    (of_table,) = TableSource(f"sqlite:///{tmp_path}/log.db", Notes()).entries()
    assert of_file == of_table == from_feed(ODD)
    assert of_file.msg == "a real\ttab, \\t two characters\nC:\\temp \x1b[2J"
    assert of_file.time == START + 0.123456
    assert of_file.tid == 140_001

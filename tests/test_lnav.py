"""The format for lnav fits the lines that logd writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from logd.text.lines import LineFormat
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import record

FORMAT = json.loads((Path(__file__).parents[1] / "systemd/lnav.json").read_text("utf-8"))[
    "logd_log"
]
# PCRE names groups as Python does, but for one letter.
PATTERN = re.compile(FORMAT["regex"]["entry"]["pattern"].replace("(?<", "(?P<"))


def test_its_samples_have_their_levels() -> None:
    """lnav itself checks these when it loads the format."""
    for sample in FORMAT["sample"]:
        match = PATTERN.match(sample["line"])
        assert match is not None
        assert re.search(FORMAT["level"][sample["level"]], match["category"])


def test_it_takes_lines_apart() -> None:
    """Each field is where lnav looks for it, also in entries of several lines."""
    batch = record(7, cat="E", msg="failed\nbadly", peer="10.0.0.7", special={"user": "ann"})
    match = PATTERN.match(LineFormat(DEFAULT_FORMAT).encode_batch(batch).decode())
    assert match is not None
    fields = match.groupdict()
    del fields["timestamp"]
    assert fields == {
        "category": "E",
        "pid": "4711",
        "peer": "10.0.0.7",
        "msgid": "7",
        "body": "failed",
        "micros": "000",
        "tid": "9",
        "thread": "MainThread",
        "function": "charge",
        "path": "views.py(42)<-urls.py(10)",
        "items": "user=ann",
    }
    assert set(fields) - {"body"} == set(FORMAT["value"])

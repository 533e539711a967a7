"""The formats for lnav fit the lines that logd writes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from logd.records.batch import Batch
from logd.text.jsonlines import JsonFormat
from logd.text.lines import LineFormat
from logd.text.timestamps import DEFAULT_FORMAT
from tests.query.log_making import record

FILE = Path(__file__).parents[1] / "systemd/lnav.json"
FORMATS = json.loads(FILE.read_text("utf-8"))
FORMAT, JSON_FORMAT = FORMATS["logd_log"], FORMATS["logd_json_log"]
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


def _failed() -> Batch:
    """A record with all that a format has to know."""
    text = 'failed\nTraceback (most recent call last):\n  File "a.py"\nKeyError: 1'
    return record(7, cat="E", msg=text, peer="10.0.0.7", special={"logger": "a", "user": "ann"})


def test_it_knows_all_of_a_json_line() -> None:
    """Each key of a JSON line is a value for lnav, as its time is."""
    line = json.loads(JsonFormat().encode_batch(_failed()))
    assert JSON_FORMAT["timestamp-field"] == "time"
    assert set(line) - {"time"} == set(JSON_FORMAT["value"])
    shown = {part["field"] for part in JSON_FORMAT["line-format"] if isinstance(part, dict)}
    assert shown <= {"__timestamp__", *line}


@pytest.mark.skipif(shutil.which("lnav") is None, reason="lnav is not installed")
@pytest.mark.parametrize(
    ("layout", "table"),
    [(LineFormat(DEFAULT_FORMAT), "logd_log"), (JsonFormat(), "logd_json_log")],
)
def test_lnav_itself_reads_them(
    layout: LineFormat | JsonFormat, table: str, tmp_path: Path
) -> None:
    """lnav takes the formats without a complaint, and tells level and fields of a record."""
    folder = tmp_path / "home/formats/logd"
    folder.mkdir(parents=True)
    shutil.copy(FILE, folder / "logd.json")
    (tmp_path / "app.log").write_bytes(layout.encode_batch(_failed()))
    query = f";SELECT log_level, pid, peer, msgid, path, log_body FROM {table}"
    done = subprocess.run(
        ["lnav", "-n", "-I", "home", "-c", query, "-c", ":write-json-to -", "app.log"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == [
        {
            "log_level": "error",
            "pid": 4711,
            "peer": "10.0.0.7",
            "msgid": 7,
            "path": "views.py(42)<-urls.py(10)",
            "log_body": "failed",
        }
    ]

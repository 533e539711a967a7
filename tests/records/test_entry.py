"""One record as it is read back."""

from __future__ import annotations

import json

from logd.records.entry import Entry

ENTRY = Entry(
    1_795_345_800.123,
    "2026-11-22T11:10:00.123+0000",
    "E",
    4711,
    "10.0.0.7",
    17,
    "payment\nfailed",
    "MainThread",
    9,
    "charge",
    "views.py(42)<-...<-urls.py(10)",
    {"user": "ann", "n": 3},
)


def test_json_and_back() -> None:
    """The JSON of an entry is that of the live feed, on one line."""
    text = ENTRY.as_json()
    assert "\n" not in text
    assert Entry.from_feed(json.loads(text)) == ENTRY


def test_an_object_with_little_in_it() -> None:
    """What the feed leaves out, or has wrong, is empty."""
    assert Entry.from_feed({"msg": "x", "special": 3, "pid": "a"}) == Entry(
        None, "", "", 0, "", 0, "x"
    )


def test_as_a_job() -> None:
    """For formats and filters an entry is a record, its call path in steps."""
    job = ENTRY.as_job()
    assert job.path == (("views.py", 42), (None, None), ("urls.py", 10))
    assert (job.time, job.msg, job.special) == (ENTRY.time, ENTRY.msg, ENTRY.special)
    assert job.pathStr() == ENTRY.path


def test_json_of_texts_that_are_no_unicode() -> None:
    """A lone surrogate from a sender does not stop the JSON."""
    entry = Entry(None, "", "", 0, "", 0, "x\udc80")
    assert json.loads(entry.as_json().encode("utf-8", "backslashreplace"))["msg"] == "x\udc80"

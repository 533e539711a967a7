"""Records as JSON, and which of them an observer wants."""

from __future__ import annotations

import json

import pytest

from logd.observers.records import JobSelection, record_as_dict, to_json


def test_record(make_job):
    """A record has all its fields, by the names that records have everywhere as JSON."""
    assert json.loads(to_json(record_as_dict(make_job("hello")))) == {
        "time": 1_795_000_000.0,
        "ts": "11:10.00",
        "cat": "E",
        "msg": "hello",
        "pid": 4711,
        "tid": 1,
        "threadname": "MainThread",
        "msgid": 17,
        "cfunc": "charge",
        "path": "views.py(42)<-urls.py(10)",
        "peer": "192.0.2.7",
        "special": {"user": "ann"},
    }


def test_any_text(make_job):
    """Any text becomes ASCII, lone surrogates and line breaks included."""
    text = "a\nb\0ä\udc80\u2028😀"
    encoded = to_json(record_as_dict(make_job(text)))
    assert encoded.isascii()
    assert b"\n" not in encoded
    assert json.loads(encoded)["msg"] == text


@pytest.mark.parametrize(
    ("cats", "pattern", "wanted"),
    [
        (None, None, True),
        (["E"], None, True),
        (["W"], None, False),
        (None, "^he", True),
        (None, "^e", False),
        (["E"], "x", False),
    ],
)
def test_selection(cats, pattern, wanted, make_job):
    """A record is wanted if category and pattern agree."""
    assert (make_job("hello") in JobSelection(cats, pattern)) is wanted


def test_errors():
    """A plain string for categories and a broken pattern are refused."""
    with pytest.raises(TypeError, match="cats"):
        JobSelection("E", None)
    with pytest.raises(ValueError, match="pattern"):
        JobSelection(None, "(")

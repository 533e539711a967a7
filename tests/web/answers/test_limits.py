"""Users who may see a part of the log see nothing else of it, by whatever they ask."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.tables.output import TableOutput
from logd.query.files.source import FileSource
from logd.query.source import LogSource
from logd.query.tables.source import TableSource
from logd.rotation.policy import Retention, RotationPolicy
from logd.web import tasks
from logd.web.answers.ledger import Ledger
from logd.web.answers.limits import ScanLimits
from logd.web.tasks import Failed, Reader
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, Notes, record, write_log

TRACEBACK = (
    "\nTraceback (most recent call last):\n"
    '  File "/srv/pay.py", line 4, in pay\n    charge()\nshop.CardError: declined'
)
COUNT = 60
ONLY = ("logger:shop.* -user:mallory", "cat:E,W")
"""Two lines, each with its own conditions: all of them hold."""

SECRET = "secret"
SPAN = {"from": [str(START)], "to": [str(START + 1000)]}
MORE: Sequence[Mapping[str, Sequence[str]]] = (
    {},
    {"f": ["cat:I"]},
    {"f": ["logger:hr.pay", "cat:E"]},
    {"x": ["logger:shop.cart"]},
    {"q": ["user:mallory"]},
    {"q": [SECRET]},
    {"q": ["/secret|record/"]},
)


def _batches() -> list[Any]:
    found = []
    for number in range(COUNT):
        logger = ("shop.cart", "shop.pay", "hr.pay")[number % 3]
        cat = "EWI"[number // 3 % 3]
        user = ("ann", "bo", "mallory")[number // 9 % 3]
        is_shown = logger != "hr.pay" and cat != "I" and user != "mallory"
        text = f"record {number}" if is_shown else f"{SECRET} record {number}"
        items = {"logger": logger, "user": user, "request_id": "one"}
        found.append(record(number, cat=cat, special=items, msg=text + TRACEBACK))
    return found


@pytest.fixture(params=["files", "tables"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogSource]:
    """The same log in text files and in a ring of SQLite's tables."""
    if request.param == "files":
        write_log(tmp_path / "x_%d.log", _batches(), lines=25)
        yield FileSource(str(tmp_path / "x_%d.log"), Notes())
        return
    database = request.getfixturevalue("sqlite")
    settings = make_settings(
        tmp_path,
        rotation=RotationPolicy(lines=25),
        retention=Retention(count=9),
        durable=False,
        table_pattern=database.pattern,
    )
    output = TableOutput(database.url, settings)
    output.open()
    output.write(_batches())
    output.close()
    tables = TableSource(database.url, Notes(), pattern=database.pattern)
    yield tables
    tables.close()


def _ask(
    source: LogSource, task: str, asked: Mapping[str, Sequence[str]], only: Sequence[str]
) -> Any:
    reader = Reader(source, Ledger(source, ()), ScanLimits(60.0))
    return reader.run(task, asked, only, lambda done: None)


def _numbers(entries: Sequence[Mapping[str, Any]]) -> list[int]:
    return [entry["msgid"] for entry in entries]


def test_every_answer_keeps_to_the_limits(source: LogSource) -> None:
    """Whatever else is asked for, nothing that is out of bounds is in an answer, or counted."""
    allowed = set()
    for entry in source.entries():
        if SECRET not in entry.msg:
            allowed.add(entry.msgid)
    assert 5 < len(allowed) < COUNT / 2
    for more in MORE:
        asked = {**SPAN, **more}
        every = set(_numbers(_ask(source, "entries", asked, ())["entries"]))
        wanted = every & allowed
        listed = _ask(source, "entries", asked, ONLY)
        assert set(_numbers(listed["entries"])) == wanted
        view = _ask(source, "view", {**asked, "facets": ["cat,logger,site,user"]}, ONLY)
        assert view["total"] == len(wanted)
        for facet in view["facets"]:
            values = {value for value, _ in facet["values"]}
            assert not values & {"I", "hr.pay", "mallory"}
        followed = _ask(source, "follow", {**asked, "place": ["0"]}, ONLY)
        assert set(_numbers(followed["entries"])) == wanted
        lines = _ask(source, "export", {**asked, "as": ["jsonl"]}, ONLY)["lines"]
        assert {json.loads(line)["msgid"] for line in lines} == wanted
        groups = _ask(source, "tracebacks", asked, ONLY)["groups"]
        assert sum(group["count"] for group in groups) == len(wanted)
        later = {**asked, "from": [str(START + COUNT * 0.8)]}
        for task in ("items", "compare"):
            found = json.dumps(_ask(source, task, later, ONLY))
            assert not any(word in found for word in ("mallory", "hr.pay", SECRET))


def test_records_are_opened_by_whom_they_are_for(source: LogSource) -> None:
    """A cursor that somebody made up, or got, opens nothing that is out of bounds."""
    for row in _ask(source, "entries", SPAN, ())["entries"]:
        is_allowed = SECRET not in row["head"]
        for task in ("entry", "group", "context"):
            asked = {"cursor": [row["at"]], "scope": ["request"]}
            if not is_allowed:
                with pytest.raises(Failed, match="no such record"):
                    _ask(source, task, asked, ONLY)
            elif row["msgid"] % 9 == 0:
                assert SECRET not in json.dumps(_ask(source, task, asked, ONLY))


def test_of_a_flood_the_newest_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is far behind gets the newest records, and is told how many came before them."""
    monkeypatch.setattr(tasks, "LIVE_ENTRIES", 5)
    monkeypatch.setattr(tasks, "MAX_BEHIND", 20)
    write_log(tmp_path / "x_%d.log", [record(number) for number in range(COUNT)])
    log = FileSource(str(tmp_path / "x_%d.log"), Notes())
    far = _ask(log, "follow", {"place": ["0"]}, ())
    assert (_numbers(far["entries"]), far["skipped"]) == (list(range(55, 60)), 55)
    assert _ask(log, "follow", {"place": [far["place"]]}, ())["entries"] == []
    # Not so far: each record, one message after the other.
    place = _ask(log, "entries", {"limit": ["20"]}, ())["entries"][0]["at"]
    seen = []
    while True:
        near = _ask(log, "follow", {"place": [place]}, ())
        seen += _numbers(near["entries"])
        assert near["skipped"] == 0
        place = near["place"]
        if not near["entries"]:
            break
    assert seen == list(range(40, 60))

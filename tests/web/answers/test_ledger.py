"""What is remembered of all of the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.query.files.source import FileSource
from logd.web.answers.ledger import SAME_MARK_S, Ledger, mark_terms
from logd.web.tasks import short_paths
from tests.query.log_making import Notes, record, write_log


def test_a_deploy_to_several_hosts_is_one(tmp_path: Path) -> None:
    """What hosts say of one deploy within ten minutes is one mark, if nothing was in between."""
    pattern = tmp_path / "x_%d.log"
    later = int(SAME_MARK_S) + 60
    said = ((0, "2.14.0"), (5, "2.14.0"), (40, "2.15.0"), (60, "2.14.0"), (later, "2.14.0"))
    batches = [
        record(number, msg=f"deploy {version}", special={"logger": "deploy", "version": version})
        for number, version in said
    ]
    write_log(pattern, batches)
    ledger = Ledger(FileSource(str(pattern), Notes()), mark_terms(("logger:deploy",)))
    ledger.update(lambda done: None)
    known = ledger.known()
    marks = known.marks
    assert [mark["version"] for mark in marks] == ["2.14.0", "2.15.0", "2.14.0", "2.14.0"]
    assert known.version_at(marks[1]["time"] + 1) == "2.15.0"
    assert known.version_at(marks[0]["time"] - 1) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("file /srv/a/b/logs/logd_%d.log", "file logs/logd_%d.log"),
        ("file logs/logd_%d.log", "file logs/logd_%d.log"),
        ("no file /a/b/c/x.log, no file /d/e/y.log", "no file c/x.log, no file e/y.log"),
        ("database postgresql://db/logs", "database postgresql://db/logs"),
    ],
)
def test_folders_are_not_told(text: str, shown: str) -> None:
    """Of a path browsers get the file and the name of its folder."""
    assert short_paths(text) == shown

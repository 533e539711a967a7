"""What is known of each value is bounded, whatever a log holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.query import groups, summaries
from logd.query.positions import CannotRead
from logd.query.selection import EVERYTHING
from tests.query.log_making import START, record, source_of, write_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Thirty records of ten users, each with a message of a hundred characters."""
    batches = [record(n, msg="x" * 100, special={"user": f"u{n % 10}"}) for n in range(30)]
    write_log(tmp_path / "app_%d.log", batches)
    return tmp_path


def test_examples(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of all values together take so much; of others the beginning is kept."""
    monkeypatch.setattr(groups, "_CUT_CHARS", 7)
    found = groups.Groups(_room=1000)
    for entry in source_of(log).entries():
        found.add(str(entry.special["user"]), entry)
    sizes = [len(group.example.msg) for group in found.groups.values() if group.example]
    assert sorted(set(sizes)) == [7, 100]
    assert sizes[0] == 100
    for name in list(found.groups):
        found.remove(name)
    assert found._room == 1000


def test_values(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that are too many or too long are counted together."""
    monkeypatch.setattr(groups, "MAX_GROUPS", 4)
    found = groups.group_by(source_of(log), EVERYTHING, "user")
    assert (len(found.groups), found.others) == (4, 18)
    monkeypatch.setattr(groups, "_CUT_CHARS", 99)
    found = groups.group_by(source_of(log), EVERYTHING, "text")
    assert (len(found.groups), found.others) == (0, 30)


def test_what_is_new_of_too_many(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it can't be known which values are new, it is said."""
    source = source_of(log)
    found, _ = groups.new_since(source, EVERYTHING, "user", START + 5)
    assert sorted(found.groups) == ["u5", "u6", "u7", "u8", "u9"]
    monkeypatch.setattr(groups, "MAX_OLD", 4)
    with pytest.raises(CannotRead, match="user has more than 4 values"):
        groups.new_since(source, EVERYTHING, "user", START + 5)


def test_facets(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of facets take no more memory than they may."""
    monkeypatch.setattr(summaries, "MAX_LABEL_CHARS", 6)
    summary = source_of(log).summarise(keys=["user", "text"])
    assert summary.facets == {"user": {"u0": 3, "u1": 3, "u2": 3}, "text": {}}
    assert summary.others == {"user": 21, "text": 30}


def test_a_timeline(log: Path) -> None:
    """However long something went on, when it was takes little memory and loses nothing."""
    group = summaries.Group()
    for entry in source_of(log).entries():
        for day in range(30):
            entry.time = START + day * 86_400 + entry.msgid * 60
            group.add(entry)
    assert len(group.stretches) <= 96
    assert sum(group.timeline(START, START + 30 * 86_400, 30)) == 900

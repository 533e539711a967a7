"""The spool: what waits for the next start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logd.outputs.spool import Spool
from logd.records.batch import Batch, Context
from logd.records.callpath import ShortNames
from tests.outputs.output_making import CLIENT, make_batch, numbered

COLUMNS = ("index", "msgid", "time", "msg", "ts", "sequence")


def columns(batch: Batch) -> dict[str, Any]:
    """All of a batch that is to survive."""
    found: dict[str, Any] = {
        name: None if getattr(batch, name) is None else list(getattr(batch, name))
        for name in COLUMNS
    }
    found["contexts"] = list(batch.contexts)
    found["special"] = {row: dict(items) for row, items in batch.special.items()}
    found |= {name: getattr(batch, name) for name in ("peer", "client", "first", "last")}
    return found


def test_batches_return_as_they_were(tmp_path: Path) -> None:
    """Batches of sessions come back in their order, over several starts, until they are cleared."""
    spool = Spool(tmp_path / "state" / "spool")
    assert list(spool.batches()) == []
    spool.clear()
    written = [numbered(1, 3), numbered(4, 2), make_batch(["x"], first=6, peer="10.0.0.7")]
    spool.append(written[:2])
    Spool(spool.path).append(written[2:])
    assert [columns(batch) for batch in spool.batches()] == [columns(batch) for batch in written]
    assert spool.path.stat().st_mode & 0o777 == 0o640
    spool.clear()
    assert list(spool.batches()) == []


def test_batches_without_session_get_one(tmp_path: Path) -> None:
    """Their numbers go on over several appends, so that marks can tell what was written out."""
    spool = Spool(tmp_path / "spool")
    spool.append([numbered(1, 3, None), numbered(1, 2)])
    Spool(spool.path).append([numbered(1, 4, None)])
    first, session, second = spool.batches()
    assert session.client == CLIENT
    assert first.client == second.client is not None
    assert len(first.client or b"") == 16
    assert (first.first, first.last, second.first, second.last) == (1, 3, 4, 7)
    assert second.after(5) is not None
    spool.clear()
    spool.append([numbered(1, 1, None)])
    assert next(iter(spool.batches())).client != first.client


def test_filtered_batch_keeps_its_numbers(tmp_path: Path) -> None:
    """A batch of which a filter left records out still covers their sequence numbers."""
    whole = numbered(10, 6)
    jobs = whole.jobs()
    batch = Batch.from_jobs([jobs[1], jobs[3]], whole)
    spool = Spool(tmp_path / "spool", formatter=ShortNames())
    spool.append([batch])
    (back,) = spool.batches()
    assert columns(back) == columns(batch)
    assert (back.first, back.last, back.sequence) == (10, 15, [11, 13])
    assert isinstance(back.formatter, ShortNames)


@pytest.mark.parametrize("loss", [1, 7, 60])
def test_torn_end_is_passed_over(loss: int, tmp_path: Path) -> None:
    """Half a batch at the end is not there; the next append takes its place."""
    spool = Spool(tmp_path / "spool")
    spool.append([numbered(1, 3)])
    spool.append([numbered(4, 3)])
    os.truncate(spool.path, spool.path.stat().st_size - loss)
    assert [batch.last for batch in spool.batches()] == [3]
    spool.append([numbered(4, 2)])
    assert [batch.last for batch in spool.batches()] == [3, 5]


def test_failed_append_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses the sync leaves the spool as it was."""
    spool = Spool(tmp_path / "spool")
    spool.append([numbered(1, 3)])
    real = os.fsync

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        spool.append([numbered(4, 3)])
    monkeypatch.setattr("os.fsync", real)
    assert [batch.last for batch in spool.batches()] == [3]


texts = st.text(st.characters(), max_size=8)
values = st.one_of(texts, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())


@given(
    msg=texts,
    name=texts,
    msgid=st.integers(),
    special=st.dictionaries(texts, values, max_size=3),
    path=st.lists(st.tuples(st.one_of(st.none(), texts), st.one_of(st.none(), st.integers()))),
)
@example(msg="", name="", msgid=0, special={"\ud800": "\udfff"}, path=[])
@example(msg="", name="", msgid=-(2**63) - 1, special={"k": 2**64}, path=[(None, 2**70)])
def test_anything_survives(
    msg: str,
    name: str,
    msgid: int,
    special: dict[str, Any],
    path: list[tuple[str | None, int | None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Lone surrogates, huge numbers and hidden files come back as they were."""
    context = Context(msgid, 0, name, name, tuple(path), 3, name)
    batch = Batch((context,), [0], [msgid], [1.5], [msg], {0: special}, client=CLIENT, first=1)
    spool = Spool(tmp_path_factory.mktemp("spool") / "spool")
    spool.append([batch])
    (back,) = spool.batches()
    assert columns(back) == columns(batch)


@pytest.mark.parametrize("point", ["before_write", "before_sync", "after_sync"])
def test_death_while_spooling(point: str, tmp_path: Path) -> None:
    """A process that dies while it spools leaves whole batches or none."""
    program = (
        "from pathlib import Path\n"
        "from logd.outputs.spool import Spool\n"
        "from tests.outputs.output_making import numbered\n"
        f"spool = Spool(Path({str(tmp_path / 'spool')!r}))\n"
        "spool.append([numbered(1, 3)])\n"
        "spool.append([numbered(4, 3)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "LOGD_FAILPOINTS": f"spool.{point}=kill@2"},
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert done.returncode == -9
    spool = Spool(tmp_path / "spool")
    assert [batch.last for batch in spool.batches()] == [3] + [6] * (point != "before_write")
    spool.append([numbered(7, 1)])
    assert [batch.last for batch in spool.batches()][-1] == 7


@pytest.mark.parametrize("kind", ["a link", "a pipe"])
def test_what_is_planted_in_place_of_a_spool_is_not_used(kind: str, tmp_path: Path) -> None:
    """A link is followed neither to read nor to write, a pipe keeps nobody waiting."""
    path, victim = tmp_path / "spool", tmp_path / "victim"
    victim.write_bytes(b"logd spool 1\n")
    if kind == "a link":
        path.symlink_to(victim)
        with pytest.raises(OSError, match="symbolic link"):
            list(Spool(path).batches())
        with pytest.raises(OSError, match="symbolic link"):
            Spool(path).append([make_batch(["text"])])
        assert victim.read_bytes() == b"logd spool 1\n"
    else:
        os.mkfifo(path)
        assert list(Spool(path).batches()) == []

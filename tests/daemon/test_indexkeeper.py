"""The daemon has indexes made of files that were closed, and removed with them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from logd.daemon.indexkeeper import IndexKeeper
from logd.query.files.indexkeeping import main
from logd.query.files.source import FileSource
from logd.settings.table import Config
from logd.text.lines import LineFormat
from logd.text.timestamps import DEFAULT_FORMAT
from tests.daemon_process import running
from tests.query.log_making import START, Notes, record

LINE = LineFormat(DEFAULT_FORMAT).encode_batch(record(1))
CLOSED_BYTES = 5 << 20


def _write_ring(folder: Path, stem: str) -> None:
    folder.mkdir()
    for number, size in ((1, CLOSED_BYTES), (2, len(LINE))):
        path = folder / f"{stem}_{number}.log"
        path.write_bytes(LINE * (size // len(LINE)))
        os.utime(path, (START + number, START + number))


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)


def test_closed_files_get_an_index_and_lose_it(tmp_path: Path) -> None:
    """The closed file gets one, that of a removed file is removed, and nothing else is."""
    logs = tmp_path / "logs"
    _write_ring(logs, "app")
    mine = logs / ".other.idx"
    mine.write_text("not logd's")
    index = logs / ".app_1.log.idx"
    config = Config(file=(str(logs / "app_%d.log"),))

    async def scenario() -> None:
        keeper = IndexKeeper(lambda: config, look_every_s=0.05)
        await keeper.start()
        await _until(index.exists)
        told: list[float] = []
        source = FileSource(config.file[0], Notes())
        assert source.summarise(watch=told.append).total == CLOSED_BYTES // len(LINE) + 1
        assert len(told) == 1, "only the current file is read"
        (logs / "app_1.log").unlink()
        await _until(lambda: not index.exists())
        await keeper.stop()

    asyncio.run(scenario())
    assert sorted(path.name for path in logs.iterdir()) == [".other.idx", "app_2.log"]


def test_a_stop_ends_what_is_under_way(tmp_path: Path) -> None:
    """A stop does not wait for an index, and leaves no process behind."""
    _write_ring(tmp_path / "logs", "app")
    config = Config(file=(str(tmp_path / "logs" / "app_%d.log"),))

    async def scenario() -> None:
        keeper = IndexKeeper(lambda: config, look_every_s=0.05)
        await keeper.start()
        await _until(lambda: keeper._process is not None)
        await keeper.stop()
        assert keeper._process is not None
        assert keeper._process.returncode is not None

    asyncio.run(scenario())


def test_it_can_be_left_out(tmp_path: Path) -> None:
    """With the setting `index` off nothing is made."""
    _write_ring(tmp_path / "logs", "app")
    config = Config(file=(str(tmp_path / "logs" / "app_%d.log"),), index=False)
    asked: list[bool] = []

    def now() -> Config:
        asked.append(True)
        return config

    async def scenario() -> None:
        keeper = IndexKeeper(now, look_every_s=0.01)
        await keeper.start()
        await _until(lambda: len(asked) > 3)
        await keeper.stop()
        assert keeper._process is None

    asyncio.run(scenario())


def test_a_sandbox_may_refuse_the_low_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system refuses to change the priority, as in the unit, indexes are made."""

    def refused(_increment: int) -> None:
        raise PermissionError

    _write_ring(tmp_path / "logs", "app")
    monkeypatch.setattr(os, "nice", refused)
    assert main(str(tmp_path / "logs" / "app_%d.log")) == 0
    assert (tmp_path / "logs" / ".app_1.log.idx").exists()


def test_the_daemon_has_them_made(tmp_path: Path) -> None:
    """A daemon that starts finds the files that have none yet."""
    _write_ring(tmp_path / "logs", "logd")
    with running(folder=tmp_path) as daemon:
        asyncio.run(_until((tmp_path / "logs" / ".logd_1.log.idx").exists))
        assert daemon.stop() == 0

"""The last entries and what comes, with the real daemon."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from logd.query.following import Following
from logd.query.places import sources_of
from logd.query.selection import EVERYTHING, Selection
from logd.settings.controlpath import control_path
from logd.settings.table import Config
from logd_client.log import Log
from logd_client.socketclient import LogServerProxy
from tests.daemon_process import DaemonProcess, running
from tests.query.log_making import Notes
from tests.query.log_making import select as selecting

PATIENCE_S = 60.0
# Small files, so that all that is written rotates; enough of them to keep what a test writes.
OPTIONS = ("--rotate-lines", "7", "--rotate-count", "40")


def send(daemon: DaemonProcess, first: int, last: int, cat: str = "I") -> None:
    """Log records "first" to "last"; returns when they are stored."""
    proxy = LogServerProxy("127.0.0.1", (daemon.port,), block_timeout_s=PATIENCE_S)
    log = Log(proxy, stackMax=0, extractStack=False)
    for number in range(first, last + 1):
        log(str(number), cat)
    assert proxy.flush(PATIENCE_S)
    proxy.close(PATIENCE_S)


@pytest.fixture(params=["file", "db"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """Settings of a daemon that writes to files, or to tables."""
    state = str(tmp_path / "state")
    if request.param == "file":
        return Config(file=(str(tmp_path / "app_%d.log"),), state_dir=state, rotate_count=40)
    return Config(db=(f"sqlite:///{tmp_path}/log.db",), state_dir=state, rotate_count=40)


def options(config: Config) -> list[str]:
    """The daemon's options for these settings."""
    outputs = ["--file", *config.file] if config.file else ["--db", *config.db]
    return [*outputs, "--state-dir", str(config.state_folder), *OPTIONS]


class Reader:
    """Follows, and collects what comes."""

    def __init__(self, config: Config, selection: Selection = EVERYTHING) -> None:
        self.notes = Notes()
        self.following = Following(
            sources_of(config, self.notes), selection, control_path(config), self.notes
        )

    def next(self, count: int) -> list[str]:
        """The messages of the next entries; fails if that many don't come in time."""
        found: list[str] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < count:
            assert time.monotonic() < deadline, found[-20:]
            entries = self.following.read()
            if entries is None:
                fed = self.following.fileno()
                if fed is not None:
                    assert select.select([fed], [], [], PATIENCE_S)[0], found
                continue
            found += [entry.msg for entry in entries]
        return found

    def last(self, count: int) -> list[str]:
        """The messages before those."""
        return [entry.msg for entry in self.following.history(count)]


@pytest.fixture
def follow() -> Iterator[Callable[..., Reader]]:
    """Makes readers; closes them after the test."""
    readers = []

    def start(*arguments: Any) -> Reader:
        reader = Reader(*arguments)
        readers.append(reader)
        return reader

    yield start
    for reader in readers:
        reader.following.close()


def texts(first: int, last: int) -> list[str]:
    """Messages as `send` makes them."""
    return list(map(str, range(first, last + 1)))


def test_live(config: Config, tmp_path: Path, follow: Callable[..., Reader]) -> None:
    """History ends where the feed begins, whatever is written in between."""
    with running(*options(config), folder=tmp_path) as daemon:
        send(daemon, 1, 10)
        reader = follow(config)
        assert reader.following.is_live
        send(daemon, 11, 40)
        assert reader.last(5) == texts(6, 10)
        assert reader.next(30) == texts(11, 40)
        send(daemon, 41, 41)
        assert reader.next(1) == ["41"]
        assert not reader.notes


def test_filters(config: Config, tmp_path: Path, follow: Callable[..., Reader]) -> None:
    """Only what is wanted comes, of the history and live."""
    with running(*options(config), folder=tmp_path) as daemon:
        send(daemon, 1, 5, "E")
        send(daemon, 6, 10, "I")
        reader = follow(config, selecting(cats=frozenset("E")))
        assert reader.last(2) == texts(4, 5)
        send(daemon, 11, 15, "I")
        send(daemon, 16, 20, "E")
        assert reader.next(5) == texts(16, 20)


def test_a_daemon_that_is_restarted(
    config: Config, tmp_path: Path, follow: Callable[..., Reader]
) -> None:
    """When the feed ends the log is read on, with nothing lost or repeated."""
    with running(*options(config), folder=tmp_path) as daemon:
        send(daemon, 1, 10)
        reader = follow(config)
        send(daemon, 11, 60)
        assert reader.next(50) == texts(11, 60)
        daemon.stop()
    with running(*options(config), folder=tmp_path) as daemon:
        send(daemon, 61, 100)
    assert reader.next(40) == texts(61, 100)
    assert not reader.following.is_live
    assert "following" in reader.notes[0]


def test_a_daemon_that_is_killed(
    config: Config, tmp_path: Path, follow: Callable[..., Reader]
) -> None:
    """A feed that breaks off is no other matter."""
    with running(*options(config), folder=tmp_path) as daemon:
        reader = follow(config)
        send(daemon, 1, 60)
        daemon.kill()
    with running(*options(config), folder=tmp_path) as daemon:
        send(daemon, 61, 100)
    assert reader.next(100) == texts(1, 100)


def test_without_a_daemon(config: Config, tmp_path: Path, follow: Callable[..., Reader]) -> None:
    """Where no daemon answers the log is looked at, and that is said."""
    with running(*options(config), "--control", tmp_path / "other.sock", folder=tmp_path) as daemon:
        send(daemon, 1, 10)
        reader = follow(config)
        assert not reader.following.is_live
        assert "no daemon answers" in reader.notes[0]
        assert reader.last(3) == texts(8, 10)
        send(daemon, 11, 40)
        assert reader.next(30) == texts(11, 40)


def test_a_daemon_of_another_log(tmp_path: Path, follow: Callable[..., Reader]) -> None:
    """A daemon that writes elsewhere is left alone."""
    config = Config(file=(str(tmp_path / "app_%d.log"),))
    with running("--file", config.file[0], folder=tmp_path) as daemon:
        send(daemon, 1, 3)
    theirs = ["--file", tmp_path / "other_%d.log"]
    with running(*theirs, folder=tmp_path) as daemon:
        reader = follow(config)
        assert not reader.following.is_live
        assert "other_%d.log" in reader.notes[0]
        assert reader.last(2) == texts(2, 3)


def test_a_daemon_that_keeps_nothing(tmp_path: Path, follow: Callable[..., Reader]) -> None:
    """The feed of a daemon without a log comes without a history."""
    config = Config(stdout=True, state_dir=str(tmp_path / "state"))
    with running("--stdout", "--state-dir", tmp_path / "state", folder=tmp_path) as daemon:
        reader = follow(config)
        send(daemon, 1, 3)
        assert reader.last(3) == []
        assert reader.next(3) == texts(1, 3)


def sorted_out(found: Sequence[str]) -> list[int]:
    """The messages as numbers."""
    return list(map(int, found))


def test_slower_than_the_feed(tmp_path: Path, follow: Callable[..., Reader]) -> None:
    """Who is too slow for the feed gets the rest from the log, in order and complete."""
    config = Config(file=(str(tmp_path / "app_%d.log"),))
    with running("--file", config.file[0], "--sync", "none", folder=tmp_path) as daemon:
        # What the pattern finds does not depend on where the text is read.
        reader = follow(config, selecting(grep=r"^\d+$"))
        send(daemon, 1, 120_000)
        assert sorted_out(reader.next(120_000)) == list(range(1, 120_001))
        assert any("too slow" in note for note in reader.notes)

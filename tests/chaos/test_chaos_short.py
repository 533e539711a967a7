"""A short run of the chaos: what `make chaos` does for longer, and every step of the way once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.chaos import engine, readers, scenarios, shared
from tests.chaos.__main__ import small_disk
from tests.chaos.cluster import binaries
from tests.chaos.targets import TARGETS

SEED = 20_261_122

needs_postgresql_server = pytest.mark.skipif(
    binaries() is None, reason="postgresql server programs are not installed"
)


def postgresql_answers() -> bool:
    """Whether the shared server runs."""
    try:
        socket.create_connection(("127.0.0.1", 5432), 2).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", TARGETS)
def test_kill_9_at_random_moments(kind: str, tmp_path: Path) -> None:
    """Five SIGKILLs under eight senders: 0 lost, 0 twice, 0 torn, order kept."""
    if kind == "postgresql" and not postgresql_answers():
        pytest.skip("no postgresql at 127.0.0.1:5432")
    verdict = scenarios.kills(kind, tmp_path, SEED, 5)
    assert verdict.is_good, str(verdict)
    assert verdict.records > 1000


def test_kill_9_under_apps_whose_rates_change(tmp_path: Path) -> None:
    """Lone records, batches, bursts, half of it in a spool; `make chaos` does it for longer."""
    verdict = scenarios.kills_at_changing_rates(tmp_path, SEED, 3)
    assert verdict.is_good, str(verdict)


def test_kill_9_without_sync(tmp_path: Path) -> None:
    """`sync = none` survives the death of the process, too."""
    verdict = scenarios.kills("files", tmp_path, SEED, 5, sync="none")
    assert verdict.is_good, str(verdict)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in scenarios.FAIL_POINTS.items() for name in names],
)
def test_kill_9_at_each_step(kind: str, name: str, tmp_path: Path) -> None:
    """Whatever step the daemon dies at, the next start neither loses nor repeats a record."""
    verdict = scenarios.fail_point(kind, name, tmp_path, SEED)
    assert verdict.is_good, str(verdict)


def test_connections_cut_at_random_bytes(tmp_path: Path) -> None:
    """Cuts in both directions, acknowledgements included, lose and repeat nothing."""
    verdict = scenarios.cuts("files", tmp_path, SEED, 25)
    assert verdict.is_good, str(verdict)


@needs_postgresql_server
def test_a_database_restarted_under_load(tmp_path: Path) -> None:
    """PostgreSQL restarted three times: the file beside goes on, both hold everything."""
    verdict = scenarios.database_restarts(tmp_path, SEED, 3)
    assert verdict.is_good, str(verdict)


@needs_postgresql_server
def test_a_stop_while_the_database_is_away(tmp_path: Path) -> None:
    """What can't be written within the drain time is written at the next start, in order."""
    verdict = scenarios.stop_without_database(tmp_path, SEED)
    assert verdict.is_good, str(verdict)


needs_postgresql = pytest.mark.skipif(
    not postgresql_answers(), reason="no postgresql at 127.0.0.1:5432"
)


@needs_postgresql
def test_two_daemons_with_shared_marks(tmp_path: Path) -> None:
    """Clients of two daemons, one of which is killed again and again: 0 lost, 0 twice."""
    verdict = shared.kills(tmp_path, SEED, 3, clients=4)
    assert verdict.is_good, str(verdict)


@needs_postgresql
@pytest.mark.parametrize("name", ["tables.after_lock", "tables.after_commit"])
def test_kill_9_of_one_of_two_daemons(name: str, tmp_path: Path) -> None:
    """Wherever in a write one daemon dies, the other one goes on with its clients."""
    verdict = shared.fail_point(tmp_path, name, SEED)
    assert verdict.is_good, str(verdict)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk(tmp_path: Path) -> None:
    """While the disk is full nothing is lost; when there is room again all is written."""
    with small_disk(tmp_path) as disk:
        verdict = scenarios.full_disk(disk, SEED, 2)
    assert verdict.is_good, str(verdict)


def test_apps_killed_with_a_spool(tmp_path: Path) -> None:
    """What dead apps left in their spool is delivered by the next one, exactly once."""
    verdict = scenarios.dead_apps(tmp_path, SEED, 6)
    assert verdict.is_good, str(verdict)


def test_readers_of_a_log_that_rotates(tmp_path: Path) -> None:
    """Whoever follows, stopped or not, shows each record once while files are compressed."""
    verdict = readers.follow(tmp_path, 35_000, None, None)
    assert verdict.is_good, str(verdict)
    assert verdict.records == len(readers.READERS) * 70_001
    assert "too slow for the live feed" in str(verdict)


@pytest.mark.parametrize(
    ("act", "plan"),
    [
        (engine.ingest_kills(2), engine.Plan(sifts="ingest")),
        (engine.store_kills(2), engine.Plan(sifts="store")),
        (engine.anything(3), engine.Plan()),
    ],
    ids=["ingest daemons", "stores", "anything"],
)
def test_an_engine_of_three_servers(act: engine.Act, plan: engine.Plan, tmp_path: Path) -> None:
    """Daemons and servers die under senders: 0 lost, 0 twice, order kept, no hole told.

    With a filter, at the ingest daemons or the stores, exactly what it lets through is there.
    """
    verdict = engine.run(tmp_path, SEED, act, plan)
    assert verdict.is_good, str(verdict)
    assert verdict.records > 1000

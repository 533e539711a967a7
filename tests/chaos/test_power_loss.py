"""Power lost at a few moments of each workload; `make chaos` does it at hundreds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.powerloss.checking import PowerLoss
from tests.chaos.powerloss.disk import Order
from tests.chaos.powerloss.recording import Runner, compile_recorder, compiler
from tests.chaos.powerloss.workloads import WORKLOADS

SEED = 20_261_122
MOMENTS = 6

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler to make the recorder")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """One process that forks a child for each recording and each check."""
    with Runner(compile_recorder(tmp_path_factory.mktemp("recorder"))) as runner:
        yield runner


@pytest.mark.parametrize("order", ["ext4", "posix"])
@pytest.mark.parametrize("name", WORKLOADS)
def test_power_lost_at_random_moments(
    name: str, order: Order, runner: Runner, tmp_path: Path
) -> None:
    """What was acknowledged is there once, whatever of the unsynced is on the disk."""
    tally = PowerLoss(runner, WORKLOADS[name], tmp_path, SEED).losses(MOMENTS, order, deaths=2)
    assert tally.is_good, str(tally)


@pytest.mark.parametrize("faults", ["eio=6", "short=3 eintr=4"])
@pytest.mark.parametrize("name", ["files, zstd", "sqlite"])
def test_power_lost_while_the_disk_is_failing(
    name: str, faults: str, runner: Runner, tmp_path: Path
) -> None:
    """Syncs that fail, writes that are short or interrupted: nothing is acknowledged in vain."""
    losses = PowerLoss(runner, WORKLOADS[name], tmp_path, SEED)
    tally = losses.losses(MOMENTS, "posix", faults=faults)
    assert tally.is_good, str(tally)

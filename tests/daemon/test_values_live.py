"""What applications log as `extra` by either handler, kept by a real daemon, found by its value."""

from __future__ import annotations

import json
import logging
import logging.handlers
from pathlib import Path

import pytest
from click.testing import CliRunner

from logd.cli.query import query
from logd_client import LogdHandler
from tests.daemon_process import running
from tests.values_table import VALUES


def found(*options: str) -> list[tuple[str, object]]:
    """The messages and values that `logd query` finds."""
    done = CliRunner().invoke(query, [*options, "--json"])
    assert done.exit_code == 0, done.output
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return [(entry["msg"], entry["special"]["value"]) for entry in entries]


def as_where(item: object) -> str:
    """A value as a person types it."""
    return item if isinstance(item, str) else json.dumps(item)


@pytest.mark.parametrize(
    "output", [["--file", "log_%d.log"], ["--db", "sqlite:///log.db"]], ids=["file", "table"]
)
def test_values_of_both_handlers_are_found(
    tmp_path: Path, output: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value gives the same item by both handlers, and `--where` finds it by that."""
    monkeypatch.chdir(tmp_path)
    with running(*output, folder=tmp_path) as daemon:
        handlers: dict[str, logging.Handler] = {
            "plain": logging.handlers.SocketHandler("127.0.0.1", daemon.port),
            "client": LogdHandler(port=daemon.port),
        }
        for name, handler in handlers.items():
            logger = logging.getLogger(f"live.{name}")
            logger.propagate = False
            logger.setLevel(logging.INFO)
            logger.addHandler(handler)
            try:
                for row in VALUES:
                    logger.info("%s", row.name, extra={"value": row.value, "row": row.name})
            finally:
                logger.removeHandler(handler)
                handler.close()
        assert daemon.stop() == 0
    assert len(found(*output)) == 2 * len(VALUES)
    for row in VALUES:
        plain = row.item if row.pickled is None else row.pickled
        for item in {json.dumps(one): one for one in (plain, row.item)}.values():
            wanted = ["--where", f"row={row.name}", "--where", f"value={as_where(item)}"]
            got = found(*output, *wanted)
            assert got == [(row.name, item)] * (2 if plain == row.item else 1), row.name

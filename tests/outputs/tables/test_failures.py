"""Table outputs when the database refuses, is away, or takes the connection with it."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import make_url

from logd.outputs.base import OutputUnavailable
from logd.outputs.failpoints import Failpoints
from logd.outputs.tables import changes
from logd.outputs.tables import store as tables_store
from logd.outputs.tables.output import TableOutput
from logd.records.batch import Batch
from tests.conftest import Database
from tests.outputs.table_making import Outputs, numbered
from tests.outputs.tables.proxy import Proxy

ANN = b"ann's session id"
SOURCE = Path(tables_store.__file__)
FAILPOINTS = sorted(set(re.findall(r'failpoint\("([\w.]+)"\)', SOURCE.read_text())))
# Marks are locked only if they are shared: `tests/chaos/shared.py` kills there.
FAILPOINTS = [name for name in FAILPOINTS if not name.endswith("_lock")]


def write_till_done(output: TableOutput, batches: Sequence[Batch], tries: int = 20) -> list[str]:
    """Write as the daemon does, giving again what is left after a failure; returns the reasons."""
    reasons = []
    rest = list(batches)
    for _ in range(tries):
        try:
            output.write(rest)
        except OutputUnavailable as exc:
            reasons.append(str(exc))
            rest = rest[exc.batches_done :]
        else:
            return reasons
    raise AssertionError(f"not written in {tries} tries: {reasons[-1]}")


@pytest.fixture
def failpoints(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets actions of the fail-points within this process."""

    def set_actions(text: str) -> None:
        hit = Failpoints(text).hit
        for module in (tables_store, changes):
            monkeypatch.setattr(module, "failpoint", hit)

    return set_actions


def kill_connections(database: Database) -> None:
    """Let the server end the output's connection."""
    with database.engine.connect() as connection:
        if database.kind == "postgresql":
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_locks "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        else:
            users = connection.exec_driver_sql(
                "SELECT id FROM information_schema.processlist "
                "WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            )
            for (number,) in users.all():
                connection.exec_driver_sql(f"KILL {number}")


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Database:
    """Each kind of database that is a server."""
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def proxied(server: Database, tmp_path: Path) -> Iterator[tuple[Outputs, Proxy, str]]:
    """Outputs, a proxy before their server, and the URL that leads through it."""
    url = make_url(server.url)
    assert url.host is not None
    assert url.port is not None
    proxy = Proxy(url.host, url.port)
    outputs = Outputs(server, tmp_path)
    yield outputs, proxy, url.set(port=proxy.port).render_as_string(hide_password=False)
    outputs.close_all()
    proxy.close()


def test_a_killed_connection_is_made_anew(server: Database, tmp_path: Path) -> None:
    """After the server ended the connection, the same batches are written once and in order."""
    outputs = Outputs(server, tmp_path)
    output = outputs.opened()
    output.write([outputs.batch(3)])
    for first in (4, 7, 10):
        kill_connections(server)
        reasons = write_till_done(output, [outputs.batch(3, first=first)])
        assert len(reasons) == 1
        assert output.status().last_error is not None
    assert outputs.messages() == {"0": numbered(*range(1, 13))}
    outputs.close_all()


def before_next_commit(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something right before the next transaction is committed."""

    def at(name: str) -> None:
        if name == "tables.before_commit":
            act()
            monkeypatch.setattr(tables_store, "failpoint", lambda name: None)

    monkeypatch.setattr(tables_store, "failpoint", at)


@pytest.mark.parametrize("client", [ANN, None])
def test_a_lost_answer_to_a_commit_doubles_nothing(
    proxied: tuple[Outputs, Proxy, str],
    client: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Committed, but cut before the answer: the next write knows, with a session and without."""
    outputs, proxy, url = proxied
    output = outputs.opened(url=url)
    output.write([outputs.batch(3, client=client)])

    before_next_commit(monkeypatch, proxy.swallow_answers)
    batches = [outputs.batch(2, first=4, client=client), outputs.batch(3, first=6, client=client)]
    reasons = write_till_done(output, batches)
    assert len(reasons) == 1
    assert outputs.messages() == {"0": numbered(*range(1, 9))}
    assert output.status().written == 8


@pytest.mark.parametrize("client", [ANN, None])
def test_a_cut_before_the_commit_loses_nothing(
    proxied: tuple[Outputs, Proxy, str],
    client: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut just before it commits: the next write finds nothing there, and writes it."""
    outputs, proxy, url = proxied
    output = outputs.opened(url=url)
    output.write([outputs.batch(3, client=client)])

    before_next_commit(monkeypatch, proxy.cut)
    reasons = write_till_done(output, [outputs.batch(2, first=4, client=client)])
    assert len(reasons) == 1
    assert outputs.messages() == {"0": numbered(*range(1, 6))}


def test_a_server_that_is_away_for_a_while(proxied: tuple[Outputs, Proxy, str]) -> None:
    """While nobody answers each write says so at once; nothing is lost when the server is back."""
    outputs, proxy, url = proxied
    output = outputs.opened(url=url)
    proxy.refuse(True)
    proxy.cut()
    batch = outputs.batch(3, client=ANN)
    for _ in range(3):
        with pytest.raises(OutputUnavailable) as caught:
            output.write([batch])
        assert caught.value.batches_done == 0
    output.tick(outputs.clock.now)
    proxy.refuse(False)
    output.write([batch])
    assert outputs.messages() == {"0": numbered(1, 2, 3)}


def test_an_own_connection_that_died_unseen_does_not_lock_out(
    proxied: tuple[Outputs, Proxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that the server believes alive is ended, for it holds the ring's lock."""
    outputs, _, url = proxied
    output = outputs.opened(url=url)
    output.write([outputs.batch(1)])
    store = output._store
    # As a cut network leaves it: given up here, open there.
    lost, store._link._connection = store._link._connection, None
    output.write([outputs.batch(1, first=2)])
    assert outputs.messages() == {"0": numbered(1, 2)}
    assert lost is not None
    lost.invalidate()
    lost.close()


def test_a_connection_lost_at_the_end_closes_quietly(proxied: tuple[Outputs, Proxy, str]) -> None:
    """close() has nothing to say about a connection that is gone."""
    outputs, proxy, url = proxied
    output = outputs.opened(url=url)
    proxy.close()
    output.close()
    output.close()


def test_a_locked_sqlite_file_is_unavailable_for_a_bounded_time(
    sqlite_outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer's transaction is waited for a while; afterwards everything is written once."""
    monkeypatch.setattr("logd.outputs.tables.sqlite.LOCK_TIMEOUT_S", 0.2)
    outputs = sqlite_outputs
    output = outputs.opened()
    other = sqlite3.connect(outputs.database.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    batch = outputs.batch(3)
    for _ in range(2):
        with pytest.raises(OutputUnavailable, match="database is locked"):
            output.write([batch])
    other.execute("ROLLBACK")
    other.close()
    output.write([batch])
    assert outputs.messages() == {"0": numbered(1, 2, 3)}


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_locked_table_is_unavailable_for_a_bounded_time(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that keeps a table from being dropped delays the ring, and loses nothing."""
    monkeypatch.setattr(f"logd.outputs.tables.{kind}.LOCK_TIMEOUT_S", 1)
    if kind == "postgresql":
        session = {"lock_timeout": "300ms"}
        monkeypatch.setattr("logd.outputs.tables.postgresql._SESSION", session)
    database: Database = request.getfixturevalue(kind)
    outputs = Outputs(database, tmp_path)
    output = outputs.opened(lines=2, count=2)
    output.write([outputs.batch(4)])
    with database.engine.connect() as reader:
        name = database.pattern % 0
        reader.exec_driver_sql(f"SELECT * FROM {name}")
        batch = outputs.batch(1, first=5)
        with pytest.raises(OutputUnavailable, match=r"(?i)lock"):
            output.write([batch])
    output.write([batch])
    assert outputs.messages() == {"0": numbered(5), "1": numbered(3, 4)}
    outputs.close_all()


def test_a_full_disk_is_unavailable_and_loses_nothing(
    sqlite_outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that can't grow says so; with room again everything is written, once."""
    outputs = sqlite_outputs
    output = outputs.opened()
    output.write([outputs.batch(1)])
    connection = output._store._link.get()
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    connection.rollback()
    # A new connection starts without the limit: as when room was made.
    batches = [outputs.batch(3000, first=2, client=ANN)]
    with pytest.raises(OutputUnavailable, match="full"):
        output.write(batches)
    output.write(batches)
    assert outputs.messages() == {"0": numbered(*range(1, 3002))}


@pytest.mark.parametrize("name", FAILPOINTS)
def test_an_error_at_each_step_writes_everything_once(
    outputs: Outputs, failpoints: Callable[[str], None], name: str
) -> None:
    """Whatever step fails, the same batches given again are in the tables once, in order."""
    output = outputs.opened(lines=5)
    failpoints(f"{name}=enospc@2-3")
    batches = [outputs.batch(4, first=first) for first in range(1, 25, 4)]
    for batch in batches:
        write_till_done(output, [batch])
    messages = [message for rows in outputs.messages().values() for message in rows]
    assert messages == numbered(*range(1, 25))
    assert {len(rows) for rows in outputs.messages().values()} == {5, 4}


# -- death of the process --------------------------------------------------------------------------

# Forks a child for each life of a daemon, so that the modules are imported only once.
PROGRAM = """
import os, sys
from pathlib import Path
from logd.outputs.failpoints import Failpoints
from logd.text.lines import LineFormat
from logd.outputs.tables import changes, store as tables_store
from logd.outputs.base import OutputSettings
from logd.outputs.tables.output import TableOutput
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.table_making import DeadLetterList, Outputs

url, folder = sys.argv[1:]

def live(pattern, failpoints):
    Path(folder, pattern).mkdir(exist_ok=True)
    tables_store.failpoint = changes.failpoint = Failpoints(failpoints).hit
    settings = OutputSettings(
        rotation=RotationPolicy(lines=7), retention=Retention(), line_format=LineFormat(),
        # Its own for each pattern: or else an output takes the tables of the last one along.
        durable=True, state_dir=Path(folder, pattern), dead_letters=DeadLetterList(),
        table_pattern=pattern,
    )
    output = TableOutput(url, settings)
    client = b"ann's session id"
    done = output.open().get(client, 0)
    while done < 40:
        output.write([Outputs.batch(5, first=done + 1, client=client)])
        done += 5
    output.close()

for line in sys.stdin:
    pattern, *failpoints = line.split()
    child = os.fork()
    if child == 0:
        live(pattern, "".join(failpoints))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_kill_at_each_step(database: Database, tmp_path: Path) -> None:
    """Killed at any step, twice, the next start neither loses nor repeats a record."""
    patterns = {name: f"{database.prefix}_{at}_%d" for at, name in enumerate(FAILPOINTS)}
    lives = [
        f"{pattern} {failpoint}"
        for name, pattern in patterns.items()
        for failpoint in (f"{name}=kill@2", f"{name}=kill@{2 if 'rotate' in name else 4}", "")
    ]
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, database.url, str(tmp_path)],
        input="\n".join(lives),
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        timeout=120,
        check=True,
    )
    statuses = list(map(int, process.stdout.split()))
    assert statuses == [-signal.SIGKILL, -signal.SIGKILL, 0] * len(FAILPOINTS)
    for name, pattern in patterns.items():
        tables = [one for one in database.table_names() if one.startswith(pattern[:-2])]
        rows = [database.rows(table, "id") for table in tables]
        records = sorted((row["id"], row["msg"]) for table in rows for row in table)
        assert [message for _, message in records] == numbered(*range(1, 41)), name
        assert max(map(len, rows)) == 7

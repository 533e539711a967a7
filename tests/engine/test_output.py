"""A daemon whose output is an engine: what is there, when it is acknowledged, what waits."""

from __future__ import annotations

import logging
import logging.handlers
import random
import shutil
import signal
import socket
from pathlib import Path

import pytest

from logd.daemon.sessionkeys import CLIENT_PREFIX
from logd.engine.output import partition_of
from logd.records.batch import Batch
from logd_client import createClientLog
from tests.daemon_process import DaemonProcess, running
from tests.engine.engines import Engine, single_engine, version_of
from tests.waiting import wait_for


def texts(batches: list[Batch]) -> list[str]:
    """What records say."""
    return [text for batch in batches for text in batch.msg]


def of_clients(batches: list[Batch]) -> list[str]:
    """What records of clients' sessions say, each once."""
    found = [batch for batch in batches if (batch.client or b"").startswith(CLIENT_PREFIX)]
    return list(dict.fromkeys(texts(found)))


def stored(engine: Engine, partitions: int = 2) -> list[Batch]:
    """All batches in the engine, by partition."""
    pieces = [piece for n in range(partitions) for piece in engine.pieces(f"LOGD_{n}")]
    return [piece.batch() for piece in pieces]


def ingest(engine: Engine, folder: Path, *options: str, **urls: object) -> DaemonProcess:
    """A daemon that writes to the engine; the caller ends it."""
    output = engine.output(partitions=2, **urls)
    return DaemonProcess("--output", output, *options, folder=folder)


def test_records_are_in_the_engine_when_they_are_acknowledged(
    engine: Engine, tmp_path: Path
) -> None:
    """A synced record stands in the partition of its session, covered without a gap."""
    with running("--output", engine.output(partitions=2), folder=tmp_path) as daemon:
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            for number in range(3):
                assert log(f"record {number}", sync=60)
            found = [batch for batch in stored(engine) if of_clients([batch])]
            assert of_clients(found) == ["record 0", "record 1", "record 2"]
            session = found[0].client
            assert session is not None
            home = partition_of(session, 2)
            pieces = [one for one in engine.pieces(f"LOGD_{home}") if one.session == session]
            # What takes long to be acknowledged may be there again.
            covered = dict.fromkeys((piece.prev, piece.last) for piece in pieces)
            assert list(covered) == [(0, 1), (1, 2), (2, 3)]
            # A store that has forgotten the session learns by it that nothing is missing before.
            floors = {(piece.prev, piece.floor) for piece in pieces}
            assert floors >= {(0, 0), (1, 1), (2, 2)}
        assert daemon.stop() == 0


def test_a_session_has_one_name_at_all_daemons(engine: Engine, tmp_path: Path) -> None:
    """Two daemons that share nothing but the engine call a client's session the same."""
    for name in "ab":
        (tmp_path / name).mkdir()
    url = engine.output(partitions=2)
    with (
        running("--output", url, folder=tmp_path / "a") as one,
        running("--output", url, folder=tmp_path / "b") as other,
    ):
        ports = (one.port, other.port)
        with createClientLog("127.0.0.1", ports, environ={}) as log:
            assert log("first", sync=60)
            # On a busy machine it may have left the first one for the second by now.
            place = log.server.connected_to
            assert place is not None
            (one if place.endswith(f":{one.port}") else other).kill()
            assert log("second", sync=60)
        found = [batch for batch in stored(engine) if of_clients([batch])]
    assert of_clients(found) == ["first", "second"]
    assert len({batch.client for batch in found}) == 1
    assert (found[-1].prev, found[-1].floor, found[-1].last) == (1, 1, 2)


def test_what_filters_drop_is_told(engine: Engine, tmp_path: Path) -> None:
    """A batch of which nothing is left moves the session on, as a piece without records."""
    url = engine.output(partitions=1)
    only_errors = "logd.filters:Categories?enable=E"
    with running("--output", url, "--filter", only_errors, folder=tmp_path) as daemon:
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("debug", "D", sync=60)
            assert log("error", "E", sync=60)
        pieces = [p for p in engine.pieces("LOGD_0") if p.session.startswith(CLIENT_PREFIX)]
    assert list(dict.fromkeys((p.prev, p.last) for p in pieces)) == [(0, 1), (1, 2)]
    assert of_clients([piece.batch() for piece in pieces]) == ["error"]


def test_clients_hold_what_an_engine_that_stopped_did_not_acknowledge(
    engine: Engine, tmp_path: Path
) -> None:
    """Nothing is acknowledged while it is away, nothing of clients is on disk, it goes on alone."""
    daemon = ingest(engine, tmp_path).wait_ready()
    with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
        assert log("before", sync=60)
        engine.servers[0].kill()
        log("meanwhile")
        daemon.wait_line("is unavailable, retrying|can't sync, retrying")
        assert not log.flush(0.5)
        assert not any(b"meanwhile" in file.read_bytes() for file in tmp_path.rglob("*.queue"))
        engine.servers[0].start()
        assert log.flush(60)
    assert daemon.stop() == 0
    assert of_clients(stored(engine)) == ["before", "meanwhile"]


def test_it_starts_while_the_engine_is_away(engine: Engine, tmp_path: Path) -> None:
    """Clients wait, plain senders' records wait on disk, and all is there once the engine is."""
    engine.servers[0].kill()
    daemon = ingest(engine, tmp_path).wait_ready()
    handler = logging.handlers.SocketHandler("127.0.0.1", daemon.port)
    handler.emit(logging.makeLogRecord({"msg": "from a plain sender", "name": "shop"}))
    handler.close()
    with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
        log("from a client")
        wait_for(lambda: bool(list(tmp_path.rglob("*.queue"))), "a record on disk")
        assert not log.flush(0.2)
        engine.servers[0].start()
        assert log.flush(60)
    wait_for(lambda: len(set(texts(stored(engine)))) >= 2, "both records")
    assert daemon.stop() == 0
    found = {text for text in texts(stored(engine)) if text.startswith("from")}
    assert found == {"from a plain sender", "from a client"}


def test_it_gives_up_what_others_may_have_forgotten(engine: Engine, tmp_path: Path) -> None:
    """A daemon that can store nothing for too long ends, and its clients have their records."""
    daemon = ingest(engine, tmp_path, "--engine-retry-s", "1").wait_ready()
    engine.servers[0].kill()
    with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
        log("held")
        assert daemon.wait() == 1
        daemon.wait_line("the daemon ends; its clients still have what is not stored")
        engine.servers[0].start()
        again = ("--output", engine.output(partitions=2), "--port", str(daemon.port))
        with running(*again, folder=tmp_path, port=None):
            assert log.flush(60)
            assert of_clients(stored(engine)) == ["held"]


def test_giving_up_comes_before_marks_are_forgotten(tmp_path: Path) -> None:
    """A day is too long: stores forget sessions by then."""
    url = "nats:nats://127.0.0.1:1"
    daemon = DaemonProcess("--output", url, "--engine-retry-s", "1d", folder=tmp_path)
    assert daemon.wait() == 2
    assert "engine_retry_s: must be under 86400 s" in daemon.output


def test_plain_senders_records_outlive_the_daemon(engine: Engine, tmp_path: Path) -> None:
    """A daemon that is told to stop while the engine is away keeps them for its next start."""
    engine.servers[0].kill()
    with running("--output", engine.output(partitions=2), folder=tmp_path) as daemon:
        handler = logging.handlers.SocketHandler("127.0.0.1", daemon.port)
        handler.emit(logging.makeLogRecord({"msg": "kept", "name": "shop"}))
        handler.close()
        assert daemon.stop() == 0
    assert list(tmp_path.rglob("*.queue"))
    engine.servers[0].start()
    with running("--output", engine.output(partitions=2), folder=tmp_path):
        wait_for(lambda: "kept" in texts(stored(engine)), "the record")


def test_a_full_engine_holds_up_senders_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    """Streams that are full refuse; nothing is lost, and all goes on once there is room."""
    daemon = ingest(engine, tmp_path, max_bytes="1MiB").wait_ready()
    noise = [random.Random(number).randbytes(500).hex() for number in range(4000)]
    with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
        for text in noise:
            log(text)
        daemon.wait_line("does not acknowledge: maximum bytes exceeded")
        assert not log.flush(0.1)

        def make_room() -> None:
            for name in ("LOGD_0", "LOGD_1"):
                kept.extend(one.batch() for one in engine.pieces(name, takes=True))

        kept: list[Batch] = []
        wait_for(lambda: make_room() or log.flush(1), "room", 120)
        make_room()
    assert daemon.stop() == 0
    # Their order is a store's concern: what was refused stands behind what was not.
    assert sorted(of_clients(kept)) == sorted(noise)


@pytest.mark.parametrize(
    ("options", "sync", "expected"),
    [
        ({}, "", "set sync_interval: always"),
        ({"monitor": "1"}, "always", "can't see whether"),
        ({"replicas": 3}, "always", "one server alone needs the option replicas=1"),
        ({"max_bytes": "3TiB"}, "always", "lower the option max_bytes"),
    ],
)
def test_an_engine_that_can_not_be_relied_on_is_refused(
    options: dict[str, object], sync: str, expected: str, tmp_path: Path
) -> None:
    """The daemon does not start, and one line says why and what to do."""
    with single_engine(tmp_path, sync=sync) as engine:
        daemon = ingest(engine, tmp_path, **options)
        assert daemon.wait() == 1
        assert expected in daemon.lines[-1]


def test_a_lazy_engine_is_accepted_with_a_word(tmp_path: Path) -> None:
    """By setting, and each start says what that means."""
    with single_engine(tmp_path, sync="") as engine:
        daemon = ingest(engine, tmp_path, "--engine-durable", "lazy").wait_ready()
        daemon.wait_line("engine_durable is lazy")
        assert daemon.stop() == 0


def test_an_old_server_is_refused(tmp_path: Path) -> None:
    """One line says which version it has and which one is needed."""
    old = shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if old is None or version_of(old) >= (2, 12):
        pytest.skip("no nats-server before 2.12 here")
    with single_engine(tmp_path, sync="", program=old) as engine:
        daemon = ingest(engine, tmp_path)
        assert daemon.wait() == 1
        assert "is too old: 2.12 or later is needed" in daemon.lines[-1]


def test_the_number_of_partitions_is_fixed(engine: Engine, tmp_path: Path) -> None:
    """A daemon with another number of partitions than the streams were made for does not start."""
    assert ingest(engine, tmp_path).wait_ready().stop() == 0
    daemon = DaemonProcess("--output", engine.output(partitions=3), folder=tmp_path)
    assert daemon.wait() == 1
    assert "LOGD has 2 partitions, and the settings say 3" in daemon.lines[-1]


def test_it_goes_without_other_outputs(engine: Engine, tmp_path: Path) -> None:
    """A file beside it would lack what other daemons took, so it is refused."""
    daemon = ingest(engine, tmp_path, "--file", "app.log")
    assert daemon.wait() == 2
    assert "is shared with other daemons: it must be the only output" in daemon.lines[-1]


def test_a_record_too_long_for_the_engine_goes_to_the_dead_letters(tmp_path: Path) -> None:
    """What no message can hold is kept beside, and its session goes on."""
    with single_engine(tmp_path, more="max_payload: 64KB") as engine:
        daemon = ingest(engine, tmp_path).wait_ready()
        noise = f"{3**500_000:x}"
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log(noise, sync=60)
            assert log("short", sync=60)
        assert daemon.stop() == 0
        (letters,) = tmp_path.rglob("dead-letters.jsonl")
        assert noise[:1000] in letters.read_text()
        assert of_clients(stored(engine)) == ["short"]


def test_a_server_that_hangs_is_noticed(engine: Engine, tmp_path: Path) -> None:
    """A server that is stopped, not gone, holds records up for as long as it is; none is lost."""
    daemon = ingest(engine, tmp_path).wait_ready()
    with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
        assert log("before", sync=60)
        engine.servers[0].send(signal.SIGSTOP)
        log("meanwhile")
        daemon.wait_line("does not acknowledge|can't sync|unavailable")
        engine.servers[0].send(signal.SIGCONT)
        assert log.flush(60)
    assert daemon.stop() == 0
    assert of_clients(stored(engine)) == ["before", "meanwhile"]


def test_it_tells_nobody_its_password(tmp_path: Path) -> None:
    """A login that is refused says so, and shows neither the password nor the user."""
    more = "authorization { user: shop, password: s3cret }"
    with single_engine(tmp_path, more=more) as engine:
        url = engine.output(partitions=2).replace("nats://", "nats://shop:wrong-one@")
        daemon = DaemonProcess("--output", url, folder=tmp_path)
        assert daemon.wait() == 1
        assert "refuses the login" in daemon.lines[-1]
        assert "wrong-one" not in daemon.output
        right = url.replace("wrong-one", "s3cret")
        with running("--output", right, folder=tmp_path) as daemon:
            with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
                assert log("let in", sync=60)
            assert "s3cret" not in daemon.output


def test_nothing_of_it_is_imported_by_other_daemons() -> None:
    """A daemon without an engine imports neither logd.engine nor nats."""
    import subprocess
    import sys

    code = (
        "import sys, logd.daemon.service, logd.cli.serve; "
        "sys.exit(any(name.split('.')[0] == 'nats' or name.startswith('logd.engine')"
        " for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_port_is_left_open(engine: Engine, tmp_path: Path) -> None:
    """A stopped daemon has closed its connection to the engine."""
    daemon = ingest(engine, tmp_path).wait_ready()
    assert engine.servers[0].varz()["connections"] == 1
    assert daemon.stop() == 0
    wait_for(lambda: engine.servers[0].varz()["connections"] == 0, "the end of the connection")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", daemon.port), 1)

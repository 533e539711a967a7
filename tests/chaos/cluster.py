"""A PostgreSQL server of the test's own, to be stopped and restarted at will."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path


def binaries() -> Path | None:
    """The folder of PostgreSQL's server programs; None where it is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


class Cluster:
    """A server on a port of its own; its data are gone with the folder, which all may enter.

    PostgreSQL refuses to run as root: there it runs as the user `postgres`.

    Attributes:
        url: for psycopg.
    """

    def __init__(self, folder: Path, port: int) -> None:
        programs = binaries()
        assert programs is not None
        self._programs = programs
        self._data = folder / "cluster"
        self._data.mkdir(mode=0o700)
        self._user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else os.getuid()
        os.chown(self._data, self._user, -1)
        folder.chmod(0o711)
        self.port = port
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-N")

    def start(self) -> None:
        """Start the server; returns when it takes connections."""
        options = f"-p {self.port} -k {self._data} -c listen_addresses=127.0.0.1"
        log = self._data / "server.log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; "immediate" is a crash, as far as the server is concerned."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def is_running(self) -> bool:
        """Whether the server runs."""
        return (self._data / "postmaster.pid").exists()

    def _run(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            user=self._user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

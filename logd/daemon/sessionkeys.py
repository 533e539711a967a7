"""Names of sessions in journals, tables and queues: a reader of them can't take a session over.

If a peer knows the id of a session, it can take the session over. So journals, tables and queues
have a keyed hash of the id instead. The key is in a file of the state folder that only the daemon
may read. Marks of earlier versions have the ids themselves. They are read under their
hash, so that their clients go on as before. Like all marks, they are removed if they are not used
for a day.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from logd.errors import StartupError
from logd.outputs.disk import must_be_regular, sync_folder, write_all
from logd.outputs.work import SESSION_NAME

KEY_BYTES = 32
FILE = "session.key"
FILE_MODE = 0o600

CLIENT_PREFIX = b"h1:"
"""How the names of clients' sessions begin."""

_HASH_BYTES = 16 - len(CLIENT_PREFIX)
# Sessions of the daemon's own making.
_OWN = (SESSION_NAME, b"spool:")


class SessionKeys:
    """Makes keys of client ids.

    Args:
        key: `KEY_BYTES` that nobody else knows; new ones without. Daemons that share their marks
            keep a common one beside these.
        is_new: whether the key was made just now.

    Attributes:
        key: the same.
        is_new: the same.
        is_known: False while the common key is somewhere that is away: no session has a name then.
    """

    def __init__(self, key: bytes | None = None, *, is_new: bool = False) -> None:
        self.key = key or os.urandom(KEY_BYTES)
        self.is_new = is_new
        self.is_known = True

    def learn(self, key: bytes) -> None:
        """Use the common key from now on."""
        self.key, self.is_known = key, True

    def of(self, client: bytes) -> bytes:
        """What a client's session is called, in 16 bytes."""
        digest = hashlib.blake2b(client, key=self.key, digest_size=_HASH_BYTES).digest()
        return CLIENT_PREFIX + digest

    def named(self, name: bytes) -> bytes:
        """What the session is called now that an earlier version may have called by its id."""
        return name if name.startswith((CLIENT_PREFIX, *_OWN)) else self.of(name)

    def marks(self, marks: Mapping[bytes, int]) -> dict[bytes, int]:
        """Marks as an output has them, under keys of sessions."""
        renamed: dict[bytes, int] = {}
        for name, last in marks.items():
            key = self.named(name)
            renamed[key] = max(last, renamed.get(key, 0))
        return renamed


def session_keys(folder: Path) -> SessionKeys:
    """The keys of the daemon whose state folder this is; makes the file if it is not there.

    The key is on disk then, or there is none: with a key that the next start does not find, clients
    would be strangers to it.

    Raises:
        StartupError: the file can't be read or made, its disk can't be synced, or it holds
            something else.
    """
    path = folder / FILE
    try:
        is_new = not os.path.lexists(path)
        if is_new:
            _make(path)
        key = _read(path)
        # Also for a key that was there: the disk may have refused this to its maker.
        sync_folder(folder)
    except OSError as exc:
        raise StartupError(
            f"{path}: {exc.strerror}; the daemon needs a state folder (state_dir) that it can "
            "read, write and sync"
        ) from exc
    return SessionKeys(key, is_new=is_new)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    must_be_regular(descriptor, str(path))
    try:
        key = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(key) != KEY_BYTES:
        raise StartupError(
            f"{path}: expected {KEY_BYTES} bytes, got {len(key)}; remove it to get a new "
            "one: then records that clients send again may be written twice"
        )
    return key


def _make(path: Path) -> None:
    """Make the file: whole under its name, or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    # Of a daemon that was killed here; in a container the next one has the same number.
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, FILE_MODE)
    try:
        write_all(descriptor, os.urandom(KEY_BYTES))
        os.fsync(descriptor)
        # Not in the place of one that another daemon has made and uses by now.
        with suppress(FileExistsError):
            _link(temporary, path)
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)


def _link(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links.
        temporary.rename(path)

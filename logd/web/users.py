"""The file of users: a TOML table each, with a password by scrypt, written by `logd web user`.

[ann]
password = "scrypt:32768:8:1:SALT:HASH"
role = "editor"
only = ["logger:shop.*"]
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import tomllib
from base64 import b64decode, b64encode
from pathlib import Path

from logd.errors import LogdError
from logd.query.grammar import parse
from logd.query.terms import WrongSelection
from logd.web.sessions import User

ROLES = ("viewer", "editor")
FILE_MODE = 0o640

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
# RFC 7914 and OWASP's sheet: 32 MiB of memory for each try.
_N, _R, _P = 1 << 15, 8, 1
_MEMORY_BYTES = 64 << 20
_KEYS = frozenset({"password", "role", "only"})


class UsersError(LogdError):
    """The file of users can't be used; the text says where and what."""


def hash_password(password: str) -> str:
    """What the file keeps of a password."""
    salt = secrets.token_bytes(16)
    parts = (salt, _scrypt(password, salt, _N, _R, _P))
    return ":".join(["scrypt", str(_N), str(_R), str(_P), *(b64encode(p).decode() for p in parts)])


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, maxmem=_MEMORY_BYTES)


_NOBODY = hash_password(secrets.token_hex())
"""Checked for names that do not exist, which must take as long."""


def is_password(kept: str, password: str) -> bool:
    """Whether it is the password that was kept; the time it takes tells nothing."""
    try:
        kind, n, r, p, salt, wanted = kept.split(":")
        found = _scrypt(password, b64decode(salt), int(n), int(r), int(p))
    except ValueError:
        return False
    return kind == "scrypt" and hmac.compare_digest(found, b64decode(wanted))


class Users:
    """The users of a file, read again when it changes.

    Args:
        path: the file.

    Raises:
        UsersError: it can't be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[User, str]] = {}
        self._version: tuple[int, int] | None = None
        self._refresh()

    def check(self, name: str, password: str) -> User | None:
        """The user with this name and password; takes about 100 ms, whether or not there is one."""
        self._refresh_if_readable()
        user, kept = self._known.get(name, (None, _NOBODY))
        return user if is_password(kept, password) else None

    def named(self, name: str) -> User | None:
        """The user with this name, whom a trusted proxy has let in."""
        self._refresh_if_readable()
        return self._known[name][0] if name in self._known else None

    def _refresh_if_readable(self) -> None:
        # Somebody may be writing it: those that were known stay known.
        with contextlib.suppress(UsersError):
            self._refresh()

    def _refresh(self) -> None:
        try:
            now = self._path.stat()
        except OSError as exc:
            raise UsersError(f"web_users_file {self._path}: {exc.strerror}") from exc
        version = (now.st_mtime_ns, now.st_size)
        if version != self._version:
            self._known = read_users(self._path)
            self._version = version


def read_users(path: Path) -> dict[str, tuple[User, str]]:
    """Name -> user and kept password.

    Raises:
        UsersError: names the file, the user and the key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsersError(f"web_users_file {path}: {getattr(exc, 'strerror', None) or exc}") from exc
    return {name: _user(path, name, table) for name, table in tables.items()}


def _user(path: Path, name: str, table: object) -> tuple[User, str]:
    where = f"web_users_file {path}: {name}"
    if not _NAME.fullmatch(name) or not isinstance(table, dict):
        raise UsersError(f"{where}: expected [name] with letters, digits and . _ @ -")
    unknown = set(table) - _KEYS
    if unknown:
        raise UsersError(
            f'{where}: unknown key "{min(unknown)}", expected {", ".join(sorted(_KEYS))}'
        )
    password, role, only = table.get("password"), table.get("role", "viewer"), table.get("only", [])
    if not isinstance(password, str) or not password.startswith("scrypt:"):
        raise UsersError(f"{where}: password: set it by `logd web user add {name}`")
    if role not in ROLES:
        raise UsersError(f"{where}: role: expected viewer or editor, got {role!r}")
    if not isinstance(only, list) or not all(isinstance(text, str) for text in only):
        raise UsersError(f"{where}: only: expected a list of texts")
    try:
        for text in only:
            parse(text)
    except WrongSelection as exc:
        raise UsersError(f"{where}: only: {exc}") from exc
    return User(name, role, tuple(only)), password


def write_user(
    path: Path, name: str, password: str | None, role: str, only: tuple[str, ...]
) -> None:
    """Add a user to the file, or change one; without a password, remove it.

    Raises:
        UsersError: the file or the name can't be used.
    """
    if not _NAME.fullmatch(name):
        raise UsersError(f"{name!r}: a name has letters, digits and . _ @ -")
    users = read_users(path) if path.exists() else {}
    if password is None:
        if name not in users:
            raise UsersError(f"web_users_file {path}: there is no user {name}")
        del users[name]
    else:
        users[name] = (User(name, role, only), hash_password(password))
    text = "# Users of `logd web`; changed by `logd web user`.\n"
    for known, (user, kept) in sorted(users.items()):
        shown = ", ".join(_toml(line) for line in user.only)
        text += f'\n[{_toml(known)}]\npassword = "{kept}"\nrole = "{user.role}"\nonly = [{shown}]\n'
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

"""Keys and signed claims of NATS for tests, as its own tools make them: by NKey and by JWT."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nkeys


class Key:
    """A key pair of an operator, account or user."""

    def __init__(self, prefix: int) -> None:
        self.seed: str = nkeys.encode_seed(os.urandom(32), prefix).decode()
        self.public: str = self._pair.public_key.decode()

    @property
    def _pair(self) -> Any:
        return nkeys.from_seed(bytearray(self.seed.encode()))

    def signed(self, subject: Key, name: str, claims: Mapping[str, Any]) -> str:
        """A JWT by this key, about `subject`."""
        payload = {
            "jti": base64.b32encode(os.urandom(20)).decode(),
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {**claims, "version": 2},
        }
        head = _text(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
        body = f"{head}.{_text(json.dumps(payload).encode())}"
        return f"{body}.{_text(self._pair.sign(body.encode()))}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def user_key() -> Key:
    """A user's key."""
    return Key(nkeys.PREFIX_BYTE_USER)


def nkey_config(*users: Key) -> str:
    """What a server needs to let these users in by their keys."""
    return (
        f"authorization {{ users: [ {', '.join(f'{{ nkey: {one.public} }}' for one in users)} ] }}"
    )


_CONNECTIONS = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1}
_STREAMS = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


def _account_with(limits: Mapping[str, int]) -> Mapping[str, Any]:
    all_limits = {"imports": -1, "exports": -1, "wildcards": True, **limits}
    return {"type": "account", "limits": all_limits, "default_permissions": {}}


class Operator:
    """Who signs accounts, with an account for the system and one for logd."""

    def __init__(self) -> None:
        self._key = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._system = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._account = Key(nkeys.PREFIX_BYTE_ACCOUNT)

    @property
    def config(self) -> str:
        """What a server needs to trust this operator, and to know its accounts."""
        own = self._key.signed(self._key, "operator", {"type": "operator"})
        system = self._key.signed(self._system, "SYS", _account_with(_CONNECTIONS))
        account = self._key.signed(self._account, "logd", _account_with(_CONNECTIONS | _STREAMS))
        return (
            f"operator: {own}\nresolver: MEMORY\nsystem_account: {self._system.public}\n"
            f"resolver_preload {{\n  {self._system.public}: {system}\n"
            f"  {self._account.public}: {account}\n}}\n"
        )

    def write_creds(self, path: Path) -> Path:
        """A file for a new user of logd's account, as `nsc` writes it."""
        user = user_key()
        claims = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
        jwt = self._account.signed(user, "daemon", claims)
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "NKEY Seed printed below can be used to sign and prove identity.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n\n"
            "*************************************************************\n"
        )
        return path

"""The option `creds`: a file with what a daemon logs in with, read anew for each connection.

Two kinds are known. The tools of NATS write a user's JWT and the seed of its key into one file,
each between lines of dashes. A file with nothing but the seed of a user's key is a login by NKey.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logd.outputs.base import OutputUnusable

MAX_BYTES = 64 << 10

_BLOCK = r"-----BEGIN {name}-----\s+(\S+)\s+-+END {name}-+"
_JWT = re.compile(_BLOCK.format(name="NATS USER JWT"))
_SEED = re.compile(_BLOCK.format(name="USER NKEY SEED"))
_BARE_SEED = re.compile(r"SU[A-Z2-7]{56}")


def login_by(path: str) -> Mapping[str, Any]:
    """What `nats.aio.client.Client.connect` needs to log in with this file.

    Raises:
        OutputUnusable: it can't be read, or is neither kind of file; or a package is missing.
    """
    try:
        with Path(path).open(encoding="ascii") as file:
            text = file.read(MAX_BYTES)
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is no text"
        raise OutputUnusable(f"creds {path}: {reason}") from exc
    jwt, seed = _JWT.search(text), _SEED.search(text)
    if jwt and seed:
        _check_seed(path, seed[1])
        from nats.aio.client import RawCredentials

        # As the library cuts it: each of the two is the line below its headline.
        return {
            "user_credentials": RawCredentials(
                f"-----BEGIN NATS USER JWT-----\n{jwt[1]}\n------END NATS USER JWT------\n"
                f"-----BEGIN USER NKEY SEED-----\n{seed[1]}\n------END USER NKEY SEED------\n"
            )
        }
    bare = _BARE_SEED.fullmatch(text.strip())
    if bare is None:
        raise OutputUnusable(
            f"creds {path}: expected a user's JWT and the seed of its key, as nsc writes them, or "
            "nothing but the seed of a user's key (SU...)"
        )
    _check_seed(path, bare[0])
    return {"nkeys_seed_str": bare[0]}


def _check_seed(path: str, seed: str) -> None:
    try:
        import nkeys  # type: ignore[import-untyped]
    except ImportError as exc:
        raise OutputUnusable(
            f"creds {path} needs the package nkeys: pip install 'logd[nats]'"
        ) from exc
    try:
        prefix, raw = nkeys.decode_seed(bytearray(seed.encode()))
        # nkeys itself does not look at the checksum, with which a seed ends.
        is_good = nkeys.encode_seed(bytes(raw), prefix) == seed.encode()
    except (nkeys.NkeysError, ValueError):
        is_good = False
    if not is_good:
        raise OutputUnusable(f"creds {path}: the seed of its key is damaged")
